package redisstore_test

import (
	"cmp"
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/todo-service/internal/listcache"
	"example.com/todo/todo-service/internal/redisstore"
)

// cache is under test: the list cache, or one that is known to serve stale lists.
type cache interface {
	Load(ctx context.Context, query func(context.Context) (listcache.Entry, error)) (listcache.Entry, error)
	Invalidate(ctx context.Context, eventID string) error
	Heal(ctx context.Context, eventIDs []string) error
}

// deleteOnly is the plain cache-aside: a write deletes the list. A reader that
// queried before the write puts the old list back after it.
type deleteOnly struct {
	client goredis.UniversalClient
	key    string
}

func (c deleteOnly) Load(ctx context.Context, query func(context.Context) (listcache.Entry, error)) (listcache.Entry, error) {
	if body, err := c.client.Get(ctx, c.key).Bytes(); err == nil {
		return listcache.Entry{Body: body, Hit: true}, nil
	}
	list, err := query(ctx)
	if err != nil {
		return listcache.Entry{}, err
	}
	return list, c.client.Set(ctx, c.key, list.Body, time.Minute).Err()
}

func (c deleteOnly) Invalidate(ctx context.Context, _ string) error {
	return c.client.Del(ctx, c.key).Err()
}

func (c deleteOnly) Heal(ctx context.Context, _ []string) error {
	return c.client.Del(ctx, c.key).Err()
}

// healsNothing is the list cache with a Heal that takes each event for confirmed. The
// list of a writer that died before its invalidation stays in the cache.
type healsNothing struct{ *redisstore.ListCache }

func (healsNothing) Heal(context.Context, []string) error { return nil }

// cacheHistory is a history of writes and reads over replicas that share one Redis. The
// list is a number that each write increments.
type cacheHistory struct {
	*testRedis
	open     func() cache // a new process
	replicas [3]atomic.Pointer[cache]

	stored    atomic.Int64 // the committed list
	confirmed atomic.Int64 // every later read must return at least this

	mu          sync.Mutex
	pendingHeal []int64 // committed writes that the live pass has not handled

	reads, hits, stale atomic.Int64
}

// run makes that many reads, or stops at the first stale one. 4 writers and 20 readers
// run concurrently, and queries are slow. Keys are evicted or flushed, writers die
// between commit and invalidation, and processes are replaced while their queries and
// fills are in flight.
func (h *cacheHistory) run(t *testing.T, reads int64, untilStale bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute+time.Duration(reads)*time.Millisecond)
	defer cancel()
	for i := range h.replicas {
		h.replace(i)
	}
	var all sync.WaitGroup
	repeat := func(step func(context.Context)) {
		all.Go(func() {
			for ctx.Err() == nil && h.reads.Load() < reads && (!untilStale || h.stale.Load() == 0) {
				step(ctx)
			}
		})
	}
	for range 4 {
		repeat(h.write)
	}
	for range 20 {
		repeat(h.read)
	}
	for _, step := range []func(context.Context){h.evict, h.livePass, func(context.Context) {
		h.replace(rand.N(len(h.replicas)))
		sleep(50 * time.Millisecond)
	}} {
		repeat(step)
	}
	all.Wait()
}

func (h *cacheHistory) replace(i int) {
	fresh := h.open()
	h.replicas[i].Store(&fresh)
}

func (h *cacheHistory) any() cache { return *h.replicas[rand.N(len(h.replicas))].Load() }

func (h *cacheHistory) query(context.Context) (listcache.Entry, error) {
	version := strconv.FormatInt(h.stored.Load(), 10)
	sleep(time.Duration(rand.N(2_000)) * time.Microsecond)
	return listcache.Entry{Body: []byte(version), ETag: version}, nil
}

// write counts as confirmed once its invalidation is; otherwise nothing is promised.
func (h *cacheHistory) write(ctx context.Context) {
	version := h.stored.Add(1)
	h.mu.Lock()
	h.pendingHeal = append(h.pendingHeal, version)
	h.mu.Unlock()
	if killed := rand.N(5) == 0; !killed && h.any().Invalidate(ctx, eventOf(version)) == nil {
		h.promise(version)
	}
	sleep(time.Duration(rand.N(16_000)) * time.Microsecond)
}

func eventOf(version int64) string { return "event " + strconv.FormatInt(version, 10) }

// livePass heals what dead writers left, on any replica. Later reads must show the
// writes that it handled.
func (h *cacheHistory) livePass(ctx context.Context) {
	h.mu.Lock()
	batch := h.pendingHeal
	h.pendingHeal = nil
	h.mu.Unlock()
	ids := make([]string, len(batch))
	for i, version := range batch {
		ids[i] = eventOf(version)
	}
	if len(ids) > 0 && h.any().Heal(ctx, ids) == nil {
		h.promise(slices.Max(batch))
	}
	sleep(10 * time.Millisecond)
}

func (h *cacheHistory) promise(version int64) {
	for last := h.confirmed.Load(); last < version && !h.confirmed.CompareAndSwap(last, version); last = h.confirmed.Load() {
	}
}

func (h *cacheHistory) read(ctx context.Context) {
	oldest := h.confirmed.Load()
	replica := h.any()
	if prefetcher, ok := replica.(interface {
		Prefetch(ctx context.Context) context.Context
	}); ok && rand.N(2) == 0 {
		ctx = prefetcher.Prefetch(ctx)
	}
	got, err := replica.Load(ctx, h.query)
	if err != nil {
		return
	}
	h.reads.Add(1)
	if got.Hit {
		h.hits.Add(1)
	}
	if version, err := strconv.ParseInt(string(got.Body), 10, 64); err != nil || version < oldest {
		h.stale.Add(1)
	}
}

func (h *cacheHistory) evict(ctx context.Context) {
	victims := []string{h.prefix + list, h.prefix + list + ":beside", h.prefix + list + ":generation", h.prefix + list + ":confirmed"}
	rand.Shuffle(len(victims), func(i, j int) { victims[i], victims[j] = victims[j], victims[i] })
	h.Del(ctx, victims[:1+rand.N(len(victims))]...) // all of them: a flush
	sleep(time.Duration(rand.N(20_000)) * time.Microsecond)
}

func sleep(d time.Duration) { <-time.After(d) }

// LINEAR_READS=1000000 is the long run.
func TestListCacheServesNothingOlderThanTheLastConfirmedWrite(t *testing.T) {
	t.Parallel()
	reads, err := strconv.ParseInt(cmp.Or(os.Getenv("LINEAR_READS"), "100000"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	s := openRedis(t)
	h := cacheHistory{testRedis: s, open: func() cache { return redisstore.NewListCache(s.replica(), s.prefix, s.log(), nil) }}
	h.run(t, reads, false)
	t.Logf("%d reads, %d of them hits; %d writes", h.reads.Load(), h.hits.Load(), h.stored.Load())
	if stale := h.stale.Load(); stale != 0 {
		t.Errorf("%d of %d reads were older than a write confirmed before", stale, reads)
	}
	if got := h.reads.Load(); got < reads {
		t.Errorf("only %d of %d reads were made in time", got, reads)
	}
	if hits := h.hits.Load(); hits < reads/10 {
		t.Errorf("only %d of %d reads were hits: this proves little", hits, reads)
	}
}

// This test shows that the history can fail.
func TestCacheHistoryDetectsStaleReads(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(s *testRedis) cache{
		"a write only deletes": func(s *testRedis) cache { return deleteOnly{s, s.prefix + list} },
		"the live pass heals nothing": func(s *testRedis) cache {
			return healsNothing{redisstore.NewListCache(s.replica(), s.prefix, s.log(), nil)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openRedis(t)
			h := cacheHistory{testRedis: s, open: func() cache { return open(s) }}
			h.run(t, 1_000_000, true)
			if h.stale.Load() == 0 {
				t.Error("no stale read was detected")
			}
		})
	}
}
