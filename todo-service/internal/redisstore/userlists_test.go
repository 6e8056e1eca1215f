package redisstore_test

import (
	"bytes"
	"context"
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
	"example.com/todo/todo-service/internal/task"
)

func loadUser(t *testing.T, cache *redisstore.ListCache, user task.Owner, d *fakeDatabase) (hit bool) {
	t.Helper()
	got, err := cache.Load(t.Context(), user, d.query)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d.answer(got.Hit), got); diff != "" {
		t.Errorf("list of user %d (-want +got):\n%s", user, diff)
	}
	return got.Hit
}

func expectUserLoad(t *testing.T, cache *redisstore.ListCache, user task.Owner, d *fakeDatabase, hit bool) {
	t.Helper()
	if got := loadUser(t, cache, user, d); got != hit {
		t.Errorf("user %d: hit is %t, want %t", user, got, hit)
	}
}

func invalidateUser(t *testing.T, cache *redisstore.ListCache, user task.Owner, eventID string) {
	t.Helper()
	if err := cache.Invalidate(t.Context(), user, eventID); err != nil {
		t.Fatal(err)
	}
}

// fillUsers stores the lists of the users, and returns their databases.
func fillUsers(t *testing.T, cache *redisstore.ListCache, users ...task.Owner) map[task.Owner]*fakeDatabase {
	t.Helper()
	databases := make(map[task.Owner]*fakeDatabase)
	for _, user := range users {
		databases[user] = &fakeDatabase{body: fmt.Sprintf(`["of %d"]`, user)}
	}
	for user, d := range databases {
		testenv.Eventually(t, "the list is cached", func() bool { return loadUser(t, cache, user, d) })
	}
	return databases
}

func TestListCacheKeepsAListForEachUser(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	for user, d := range fillUsers(t, cache, 7, 8, 0) {
		if got := s.Get(t.Context(), s.prefix+listKey(user)).Val(); got != d.body {
			t.Errorf("the key of user %d holds %q, want exactly %q", user, got, d.body)
		}
		trips := s.network.roundTrips.Load()
		expectUserLoad(t, cache, user, d, true)
		if trips = s.network.roundTrips.Load() - trips; trips != 1 {
			t.Errorf("the hit took %d round trips", trips)
		}
	}
	for key, want := range map[string]time.Duration{list + ":7": 5 * time.Minute, list + ":7:beside": 5 * time.Minute, list + ":7:generation": time.Hour} {
		if ttl := s.TTL(t.Context(), s.prefix+key).Val(); ttl <= want-10*time.Second || ttl > want {
			t.Errorf("the TTL of %s is %v, want %v", key, ttl, want)
		}
	}

	invalidateUser(t, cache, 7, "")
	if left := s.Keys(t.Context(), s.prefix+list+":7*").Val(); len(left) != 0 {
		t.Errorf("after the invalidation there are %q", left)
	}
	expectUserLoad(t, cache, 7, &fakeDatabase{body: `["new"]`}, false)
	expectUserLoad(t, cache, 7, &fakeDatabase{body: `["new"]`}, true)
	expectUserLoad(t, cache, 8, &fakeDatabase{body: `["of 8"]`}, true)
	expectUserLoad(t, cache, 0, &fakeDatabase{body: `["of 0"]`}, true)
	expectLoad(t, redisstore.NewListCache(s.replica(), s.prefix, s.log(), nil), &fakeDatabase{body: `["of 0"]`}, true)
}

func TestListCacheShowsNoUserAListThatWasPrefetchedForAnother(t *testing.T) {
	t.Parallel()
	_, cache := openCache(t)
	databases := fillUsers(t, cache, 7, 8, 0)
	for _, prefetched := range []task.Owner{7, 8, 0} {
		ctx := cache.Prefetch(t.Context(), prefetched)
		for owner, d := range databases {
			if got, err := cache.Load(ctx, owner, d.query); err != nil || string(got.Body) != d.body {
				t.Errorf("user %d got %s, %v; want %s", owner, got.Body, err, d.body)
			}
		}
	}
}

func TestListCacheRefusesAFillOfAnOldGenerationOfAUser(t *testing.T) {
	t.Parallel()
	remove := func(s *testRedis, keys ...string) {
		for _, key := range keys {
			s.Del(context.Background(), s.prefix+list+key)
		}
	}
	readElsewhere := func(s *testRedis) { // in another process
		cache := redisstore.NewListCache(s.replica(), s.prefix, s.log(), nil)
		_, _ = cache.Load(context.Background(), 7, (&fakeDatabase{body: `["new"]`}).query)
	}
	for name, happens := range map[string]func(s *testRedis, cache *redisstore.ListCache){
		"a write":           func(_ *testRedis, cache *redisstore.ListCache) { _ = cache.Invalidate(context.Background(), 7, "") },
		"a lost generation": func(s *testRedis, _ *redisstore.ListCache) { remove(s, ":7:generation") },
		"a write after a lost one": func(s *testRedis, cache *redisstore.ListCache) {
			remove(s, ":7:generation")
			_ = cache.Invalidate(context.Background(), 7, "")
		},
		"a lost epoch, and another reader": func(s *testRedis, _ *redisstore.ListCache) {
			remove(s, ":users:epoch")
			readElsewhere(s)
		},
		"a write, and another reader": func(s *testRedis, cache *redisstore.ListCache) {
			_ = cache.Invalidate(context.Background(), 7, "")
			readElsewhere(s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, cache := openCache(t)
			d := &fakeDatabase{body: `["old"]`, during: func() { happens(s, cache) }}
			loadUser(t, cache, 7, d)
			if got := s.Get(t.Context(), s.prefix+list+":7").Val(); strings.Contains(got, "old") {
				t.Errorf("the old list was stored: %s", got)
			}
			s.expectCount(t, "todo_cache_fills_refused_total", 1)
		})
	}
}

// The list may be older than an invalidation that the lost key knew of.
func TestListCacheServesNoListOfAUserWhoseGenerationOrEpochIsLost(t *testing.T) {
	t.Parallel()
	for _, key := range []string{":7:generation", ":users:epoch"} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			s, cache := openCache(t)
			fillUsers(t, cache, 7)
			s.Del(t.Context(), s.prefix+list+key)
			expectUserLoad(t, cache, 7, &fakeDatabase{body: `["new"]`}, false)
			expectUserLoad(t, cache, 7, &fakeDatabase{body: `["new"]`}, true)
		})
	}
}

func TestListCacheNeverServesCorruptDataOfAUserAndReplacesIt(t *testing.T) {
	t.Parallel()
	body, metadata, generation, epoch := list+":7", list+":7:beside", list+":7:generation", list+":users:epoch"
	for name, corrupt := range map[string]func(s *testRedis){
		"another list":               func(s *testRedis) { s.Set(context.Background(), s.prefix+body, `[{"id":666}]`, 0) },
		"the list of another user":   func(s *testRedis) { s.Copy(context.Background(), s.prefix+list+":8", s.prefix+body, 0, true) },
		"no metadata":                func(s *testRedis) { s.Del(context.Background(), s.prefix+metadata) },
		"list of another type":       func(s *testRedis) { replaceBySet(s, body) },
		"metadata of another type":   func(s *testRedis) { replaceBySet(s, metadata) },
		"generation of another type": func(s *testRedis) { replaceBySet(s, generation) },
		"epoch of another type":      func(s *testRedis) { replaceBySet(s, epoch) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, cache := openCache(t)
			fillUsers(t, cache, 7)
			d := &fakeDatabase{body: `["of 8, longer"]`}
			testenv.Eventually(t, "another user's list is cached", func() bool { return loadUser(t, cache, 8, d) })
			corrupt(s)
			expectUserLoad(t, cache, 7, &fakeDatabase{body: `["of 7"]`}, false)
			expectUserLoad(t, cache, 7, &fakeDatabase{body: `["of 7"]`}, true)
			if s.count(t, "todo_cache_errors_total") == 0 {
				t.Error("the corrupt data was not counted")
			}
		})
	}
}

func replaceBySet(s *testRedis, key string) {
	s.Del(context.Background(), s.prefix+key)
	s.SAdd(context.Background(), s.prefix+key, "a")
}

func TestListCacheWithoutRedisSharesNoQueryBetweenUsers(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	s.network.down.Store(true)
	const users, readersOfEach = 20, 50
	var arrived, group sync.WaitGroup
	arrived.Add(users * readersOfEach)
	var wrong atomic.Int64
	databases := make([]fakeDatabase, users+1)
	for user := 1; user <= users; user++ {
		d := &databases[user]
		d.body, d.during = fmt.Sprintf(`["of %d"]`, user), arrived.Wait
		for range readersOfEach {
			group.Go(func() {
				arrived.Done()
				if got, err := cache.Load(t.Context(), task.Owner(user), d.query); err != nil || string(got.Body) != d.body {
					wrong.Add(1)
				}
			})
		}
	}
	group.Wait()
	if got := wrong.Load(); got != 0 {
		t.Errorf("%d readers did not get their own list", got)
	}
	for user := 1; user <= users; user++ {
		if got := databases[user].queries.Load(); got > readersOfEach/2 {
			t.Errorf("%d readers of user %d made %d queries", readersOfEach, user, got)
		}
	}
}

// A slow query of one user must not hold up the others.
func TestListCacheWithoutRedisLetsNoUserWaitForAnother(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	s.network.down.Store(true)
	began, release := make(chan struct{}), make(chan struct{})
	slow := &fakeDatabase{body: `["of 7"]`, during: func() { close(began); <-release }}
	var reader sync.WaitGroup
	reader.Go(func() { _, _ = cache.Load(t.Context(), 7, slow.query) })
	<-began
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := cache.Load(ctx, 8, (&fakeDatabase{body: `["of 8"]`}).query); err != nil {
		t.Errorf("the other user got %v", err)
	}
	close(release)
	reader.Wait()
}

func TestListCacheKeepsTheCopiesOfOthersWhenAListChanges(t *testing.T) {
	t.Parallel()
	_, cache := openCache(t)
	fillUsers(t, cache, 8, 9)
	const size = 1_000_000
	for version := range redisstore.MaxCopyBytes/size + 1 {
		body := fmt.Appendf(nil, "%*d", size, version)
		query := func(context.Context) (listcache.Entry, error) { return listcache.Entry{Body: body, ETag: "x"}, nil }
		testenv.Eventually(t, "the list is cached", func() bool {
			list, err := cache.Load(t.Context(), 7, query)
			return err == nil && list.Hit && bytes.Equal(list.Body, body)
		})
		invalidateUser(t, cache, 7, "")
	}
	if copies, total := cache.CopyBytes(); copies != 3 || total < size {
		t.Errorf("%d copies have %d bytes, want those of three users", copies, total)
	}
}

func TestListCacheBoundsTheBytesOfUsersCopies(t *testing.T) {
	t.Parallel()
	s := openRedis(t)
	cache := redisstore.NewListCache(s.pipeline, s.prefix, s.log(), s.reg)
	const users, size, readers = 10_000, 4_000, 250 // bytes of a list: 40 MB in all
	read := func(hit bool) {
		var group sync.WaitGroup
		var wrong atomic.Int64
		for first := range readers {
			group.Go(func() {
				for user := first + 1; user <= users; user += readers {
					d := &fakeDatabase{body: fmt.Sprintf("%*d", size, user)}
					if got, err := cache.Load(t.Context(), task.Owner(user), d.query); err != nil || got.Hit != hit || string(got.Body) != d.body {
						wrong.Add(1)
					}
				}
			})
		}
		group.Wait()
		if got := wrong.Load(); got != 0 {
			t.Errorf("%d of %d users got no list, or a wrong one, or not a hit of %t", got, users, hit)
		}
	}
	loadUser(t, cache, users+1, &fakeDatabase{}) // Redis learns the script: no list is forgotten afterwards
	read(false)
	read(true)
	copies, total := cache.CopyBytes()
	if total > redisstore.MaxCopyBytes || total < redisstore.MaxCopyBytes*9/10 {
		t.Errorf("%d copies have %d bytes, want nearly %d", copies, total, redisstore.MaxCopyBytes)
	}
	var cursor uint64
	for {
		keys, next, err := s.Scan(t.Context(), cursor, s.prefix+"*", 1_000).Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys[:min(len(keys), 20)] {
			if s.TTL(t.Context(), key).Val() < 0 && key != s.prefix+list+":users:epoch" {
				t.Errorf("%s has no TTL", key)
			}
		}
		if cursor = next; cursor == 0 {
			break
		}
	}
}
