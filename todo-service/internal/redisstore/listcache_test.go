package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/listcache"
	"example.com/todo/todo-service/internal/redisstore"
)

const list = "tasks:all"

// fakeDatabase is the query of a miss.
type fakeDatabase struct {
	body    string
	queries atomic.Int64
	during  func() // between reading and returning
}

func (d *fakeDatabase) query(context.Context) (listcache.Entry, error) {
	d.queries.Add(1)
	list := d.answer(false)
	if d.during != nil {
		d.during()
	}
	return list, nil
}

func (d *fakeDatabase) answer(hit bool) listcache.Entry {
	return listcache.Entry{Body: []byte(d.body), Link: `</tasks?after=7>; rel="next"`, ETag: fmt.Sprintf("%q", d.body), Hit: hit}
}

func (d *fakeDatabase) expectQueries(t *testing.T, want int64) {
	t.Helper()
	if got := d.queries.Load(); got != want {
		t.Errorf("%d queries, want %d", got, want)
	}
}

func openCache(t *testing.T) (*testRedis, *redisstore.ListCache) {
	t.Helper()
	s := openRedis(t)
	return s, redisstore.NewListCache(s.pipeline, s.prefix, s.log(), s.reg)
}

// loadScripts makes Redis know the scripts, whose first use there invalidates the list,
// and leaves a generation without a list.
func loadScripts(t *testing.T, cache *redisstore.ListCache) {
	t.Helper()
	load(t, cache, &fakeDatabase{})
	invalidate(t, cache, "")
}

func load(t *testing.T, cache *redisstore.ListCache, d *fakeDatabase) listcache.Entry {
	t.Helper()
	got, err := cache.Load(t.Context(), 0, d.query)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func expectLoad(t *testing.T, cache *redisstore.ListCache, d *fakeDatabase, hit bool) {
	t.Helper()
	if diff := cmp.Diff(d.answer(hit), load(t, cache, d)); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
}

func TestListCacheServesTheSecondReaderTheBytesInRedis(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	d := &fakeDatabase{body: "[{\"id\":1,\"title\":\"Löwe & <b>\"}]\n"}
	expectLoad(t, cache, d, false)
	if got := s.Get(t.Context(), s.prefix+list).Val(); got != d.body {
		t.Errorf("the key holds %q, want exactly %q", got, d.body)
	}
	if ttl := s.TTL(t.Context(), s.prefix+list).Val(); ttl <= 290*time.Second || ttl > 300*time.Second {
		t.Errorf("the TTL is %v, want 300 s", ttl)
	}
	before := s.network.roundTrips.Load()
	expectLoad(t, cache, d, true)
	if trips := s.network.roundTrips.Load() - before; trips != 1 {
		t.Errorf("the hit took %d round trips", trips)
	}
	d.expectQueries(t, 1)
	s.expectCount(t, "cache_hits_total", 1)
	s.expectCount(t, "cache_misses_total", 1)
}

func TestListCacheQueriesAgainAfterAnInvalidation(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	d := &fakeDatabase{body: `[1]`}
	expectLoad(t, cache, d, false)
	d.body = `[2]`
	invalidate(t, cache, "")
	if left := s.Keys(t.Context(), s.prefix+list+"*").Val(); len(left) != 1 {
		t.Errorf("after the invalidation there are %q, want only the generation", left)
	}
	expectLoad(t, cache, d, false)
	expectLoad(t, cache, d, true)
}

func TestListCacheRefusesAFillOfAnOldGeneration(t *testing.T) {
	t.Parallel()
	during := map[string]func(s *testRedis, cache *redisstore.ListCache){
		"a write":           func(_ *testRedis, cache *redisstore.ListCache) { _ = cache.Invalidate(context.Background(), 0, "") },
		"a lost generation": func(s *testRedis, _ *redisstore.ListCache) { s.Del(context.Background(), s.prefix+list+":generation") },
		"a write after a lost one": func(s *testRedis, cache *redisstore.ListCache) {
			s.Del(context.Background(), s.prefix+list+":generation")
			_ = cache.Invalidate(context.Background(), 0, "")
		},
		"another reader after that": func(s *testRedis, cache *redisstore.ListCache) {
			s.Del(context.Background(), s.prefix+list+":generation")
			other := &fakeDatabase{body: `["new"]`}
			if _, err := cache.Load(context.Background(), 0, other.query); err != nil {
				panic(err)
			}
		},
	}
	for name, happens := range during {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, cache := openCache(t)
			d := &fakeDatabase{body: `["old"]`, during: func() { happens(s, cache) }}
			load(t, cache, d)
			if got := s.Get(t.Context(), s.prefix+list).Val(); strings.Contains(got, "old") {
				t.Errorf("the old list was stored: %s", got)
			}
			s.expectCount(t, "todo_cache_fills_refused_total", 1)
		})
	}
}

func TestListCacheSharesOneQueryPerReplicaAmongConcurrentMisses(t *testing.T) {
	t.Parallel()
	s := openRedis(t)
	const readers, replicas = 1_000, 3
	var caches [replicas]*redisstore.ListCache
	var queries [replicas]fakeDatabase
	var failed atomic.Int64
	var arrived sync.WaitGroup
	arrived.Add(readers)
	for i := range replicas {
		caches[i] = redisstore.NewListCache(s.replica(), s.prefix, s.log(), nil)
		queries[i] = fakeDatabase{body: `[1]`, during: arrived.Wait}
	}
	loadScripts(t, caches[0])
	var group sync.WaitGroup
	for reader := range readers {
		group.Go(func() {
			arrived.Done()
			got, err := caches[reader%replicas].Load(t.Context(), 0, queries[reader%replicas].query)
			if err != nil || string(got.Body) != `[1]` {
				failed.Add(1)
			}
		})
	}
	group.Wait()
	for i := range replicas {
		if got := queries[i].queries.Load(); got > 1 {
			t.Errorf("replica %d made %d queries for %d readers, want at most 1", i, got, readers/replicas)
		}
	}
	if got := failed.Load(); got != 0 {
		t.Errorf("%d readers got no list", got)
	}
}

func TestListCacheFindsAListStoredRightAfterTheMiss(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	loadScripts(t, cache)
	d := &fakeDatabase{body: `[1]`}
	var overtaken atomic.Bool
	other := redisstore.NewListCache(s.replica(), s.prefix, s.log(), nil)
	s.network.beforeReply = func() {
		if !overtaken.Swap(true) {
			expectLoad(t, other, d, false) // a whole Load of another replica
		}
	}
	expectLoad(t, cache, d, true)
	d.expectQueries(t, 1)
}

func TestListCacheSharesNoQueryThatBeganBeforeAWrite(t *testing.T) {
	t.Parallel()
	_, cache := openCache(t)
	began, release := make(chan struct{}), make(chan struct{})
	old := &fakeDatabase{body: `["old"]`, during: func() { close(began); <-release }}
	var early sync.WaitGroup
	early.Go(func() { _, _ = cache.Load(t.Context(), 0, old.query) })
	<-began
	invalidate(t, cache, "")
	expectLoad(t, cache, &fakeDatabase{body: `["new"]`}, false)
	close(release)
	early.Wait()
	expectLoad(t, cache, &fakeDatabase{body: `["new"]`}, true)
}

func TestListCacheWithoutRedisSharesTheNextQueryAndNotTheRunningOne(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	s.network.down.Store(true)
	began, release := make(chan struct{}), make(chan struct{})
	old := &fakeDatabase{body: `["old"]`, during: func() { close(began); <-release }}
	var early, late sync.WaitGroup
	early.Go(func() { _, _ = cache.Load(t.Context(), 0, old.query) })
	<-began

	const readers = 200
	d := &fakeDatabase{body: `["new"]`}
	var wrong atomic.Int64
	for range readers {
		late.Go(func() {
			got, err := cache.Load(t.Context(), 0, d.query)
			if err != nil || string(got.Body) != d.body {
				wrong.Add(1)
			}
		})
	}
	testenv.Eventually(t, "all readers have called", func() bool { return s.count(t, "todo_cache_errors_total") == readers+1 })
	close(release)
	early.Wait()
	late.Wait()
	if got := wrong.Load(); got != 0 {
		t.Errorf("%d readers did not get the new list", got)
	}
	if got := d.queries.Load(); got > readers/2 {
		t.Errorf("%d readers made %d queries", readers, got)
	}
}

func TestListCacheFinishesASharedQueryWhenItsFirstReaderLeaves(t *testing.T) {
	t.Parallel()
	_, cache := openCache(t)
	began, release := make(chan struct{}), make(chan struct{})
	d := &fakeDatabase{body: `[1]`, during: func() { close(began); <-release }}
	query := func(ctx context.Context) (listcache.Entry, error) {
		list, _ := d.query(ctx)
		return list, ctx.Err()
	}
	first, cancelFirst := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	readers.Go(func() {
		if _, err := cache.Load(first, 0, query); !errors.Is(err, context.Canceled) {
			t.Errorf("the cancelled reader got %v", err)
		}
	})
	<-began
	joined := make(chan struct{})
	readers.Go(func() {
		close(joined)
		got, err := cache.Load(t.Context(), 0, query)
		if err != nil || string(got.Body) != d.body {
			t.Errorf("the other reader got %q, %v", got.Body, err)
		}
	})
	<-joined
	cancelFirst()
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := cache.Load(short, 0, query); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the reader past its deadline got %v", err)
	}
	close(release)
	readers.Wait()
	d.expectQueries(t, 1)
}

func TestListCacheReturnsAQueryErrorAndStoresNothing(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	down := errors.New("connection refused")
	_, err := cache.Load(t.Context(), 0, func(context.Context) (listcache.Entry, error) { return listcache.Entry{}, down })
	if !errors.Is(err, down) {
		t.Errorf("got %v, want the query's error", err)
	}
	_, err = cache.Load(t.Context(), 0, func(context.Context) (listcache.Entry, error) { panic("index out of range") })
	if err == nil || !strings.Contains(err.Error(), "index out of range") {
		t.Errorf("got %v, want the panic as an error", err)
	}
	if s.Exists(t.Context(), s.prefix+list).Val() != 0 {
		t.Error("a list was stored")
	}
}

func TestListCacheReadsTheDatabaseWithoutRedis(t *testing.T) {
	t.Parallel()
	for name, addr := range map[string]string{"down": testenv.FreeAddr(t), "frozen": unresponsiveServer(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, addr)
			cache := redisstore.NewListCache(s.pipeline, s.prefix, s.log(), s.reg)
			d := &fakeDatabase{body: `[1]`}
			const reads = 50
			began := time.Now()
			for range reads {
				expectLoad(t, cache, d, false)
			}
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("%d reads took %v", reads, took)
			}
			if err := cache.Invalidate(t.Context(), 0, ""); err == nil {
				t.Error("an invalidation succeeded without Redis")
			}
			for counter, want := range map[string]int{
				"cache_hits_total":                           0,
				"cache_misses_total":                         reads,
				"todo_cache_errors_total":                    reads + 1,
				"todo_cache_unconfirmed_invalidations_total": 1,
			} {
				s.expectCount(t, counter, want)
			}
			if lines := s.logged.lines(); len(lines) != 1 {
				t.Errorf("logged %d lines, want one for the outage:\n%s", len(lines), strings.Join(lines, "\n"))
			}
		})
	}
}

func TestListCacheNeverServesCorruptDataAndReplacesIt(t *testing.T) {
	t.Parallel()
	body, metadata, generation := list, list+":beside", list+":generation"
	cases := map[string]func(s *testRedis){
		"another list": func(s *testRedis) { s.Set(context.Background(), s.prefix+body, `[{"id":666}]`, 0) },
		"not JSON":     func(s *testRedis) { s.Set(context.Background(), s.prefix+body, "corrupt", 0) },
		"cut short":    func(s *testRedis) { s.SetRange(context.Background(), s.prefix+body, 2, "x") },
		"empty":        func(s *testRedis) { s.Set(context.Background(), s.prefix+body, "", 0) },
		"list of another type": func(s *testRedis) {
			s.Del(context.Background(), s.prefix+body)
			s.LPush(context.Background(), s.prefix+body, 1)
		},
		"no metadata":      func(s *testRedis) { s.Del(context.Background(), s.prefix+metadata) },
		"corrupt metadata": func(s *testRedis) { s.Set(context.Background(), s.prefix+metadata, "{", 0) },
		"metadata of another type": func(s *testRedis) {
			s.Del(context.Background(), s.prefix+metadata)
			s.HSet(context.Background(), s.prefix+metadata, "a", 1)
		},
		"generation of another type": func(s *testRedis) {
			s.Del(context.Background(), s.prefix+generation, s.prefix+body)
			s.SAdd(context.Background(), s.prefix+generation, 1)
		},
	}
	for name, corrupt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, cache := openCache(t)
			d := &fakeDatabase{body: `[1,2,3]`}
			expectLoad(t, cache, d, false)
			corrupt(s)
			expectLoad(t, cache, d, false)
			expectLoad(t, cache, d, true)
			if s.count(t, "todo_cache_errors_total") == 0 {
				t.Error("the corrupt data was not counted")
			}
			if lines := s.logged.lines(); len(lines) != 1 || !strings.Contains(lines[0], "corrupt data") {
				t.Errorf("logged %q, want one line about it", lines)
			}
		})
	}
}

func TestListCacheDetectsAReplacedListDespiteItsLocalCopy(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	d := &fakeDatabase{body: `[1,2,3]`}
	expectLoad(t, cache, d, false)
	expectLoad(t, cache, d, true) // the cache has a local copy from now on
	s.Set(t.Context(), s.prefix+list, `[{"id":666}]`, 0)
	expectLoad(t, cache, d, false)
	expectLoad(t, cache, d, true)
	s.SetRange(t.Context(), s.prefix+list, 1, "6") // of the same length
	expectLoad(t, cache, d, true)
}

func TestListCacheServesNoListAfterAFailedInvalidationOfItsProcess(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	expectLoad(t, cache, &fakeDatabase{body: `["old"]`}, false)
	s.network.down.Store(true)
	if err := cache.Invalidate(t.Context(), 0, ""); !errors.Is(err, errNetworkDown) {
		t.Errorf("Invalidate returned %v", err)
	}
	d := &fakeDatabase{body: `["new"]`}
	expectLoad(t, cache, d, false)
	s.network.down.Store(false)
	expectLoad(t, cache, d, false)
	testenv.Eventually(t, "the cache serves again", func() bool { return load(t, cache, d).Hit })
	if got := s.Get(t.Context(), s.prefix+list).Val(); got != d.body {
		t.Errorf("the key holds %s", got)
	}
}

func TestListCacheServesHitsAgainWhenRedisIsBack(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	d := &fakeDatabase{body: `[1]`}
	s.network.down.Store(true)
	for range 20 {
		expectLoad(t, cache, d, false)
	}
	s.network.down.Store(false)
	testenv.Eventually(t, "the end of the outage is logged", func() bool {
		load(t, cache, d)
		return len(s.logged.lines()) == 2
	})
	expectLoad(t, cache, d, true)
}

func TestListCacheReloadsFlushedScripts(t *testing.T) {
	t.Parallel()
	s := openOwnRedis(t)
	cache := redisstore.NewListCache(s.pipeline, s.prefix, s.log(), s.reg)
	d := &fakeDatabase{body: `[1]`}
	flush := func() {
		if err := s.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		flush()
		invalidate(t, cache, "")
		flush()
		d.body = fmt.Sprintf(`[%q]`, t.Name())
		d.during = flush
		expectLoad(t, cache, d, false)
		d.during = nil
		expectLoad(t, cache, d, false) // a Redis without the scripts may have restarted
		expectLoad(t, cache, d, true)
	}
}
