package redisstore_test

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/listcache"
	"example.com/todo/todo-service/internal/redisstore"
	"example.com/todo/todo-service/internal/task"
)

// processHistory is a history of writes and reads in one process, whose Redis is
// unreachable or slow now and then. The list is a number that each write increments.
type processHistory struct {
	cache *redisstore.ListCache

	stored      atomic.Int64 // the committed list
	responded   atomic.Int64 // every later read must return at least this
	unconfirmed atomic.Int64

	reads, hits, stale atomic.Int64
}

// write gets its response whether Redis confirmed or not.
func (h *processHistory) write(ctx context.Context) {
	version := h.stored.Add(1)
	if h.cache.Invalidate(ctx, 0, "") != nil {
		h.unconfirmed.Add(1)
	}
	for last := h.responded.Load(); last < version && !h.responded.CompareAndSwap(last, version); last = h.responded.Load() {
	}
	sleep(rand.N(30 * time.Millisecond))
}

func (h *processHistory) read(ctx context.Context) {
	oldest := h.responded.Load()
	if rand.N(2) == 0 {
		ctx = h.cache.Prefetch(ctx, 0)
	}
	got, err := h.cache.Load(ctx, 0, h.query)
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

func (h *processHistory) query(context.Context) (listcache.Entry, error) {
	version := strconv.FormatInt(h.stored.Load(), 10)
	sleep(rand.N(2 * time.Millisecond))
	return listcache.Entry{Body: []byte(version), ETag: version}, nil
}

// The circuit breaker opens and closes, and later invalidations make up for failed ones.
func TestListCacheShowsAProcessItsWritesConfirmedOrNot(t *testing.T) {
	t.Parallel()
	s := open(t, startRedis(t).addr)
	s.network.beforeReply = func() {
		sleep(rand.N(2 * time.Millisecond))
		if rand.N(30) == 0 {
			sleep(30*time.Millisecond + rand.N(40*time.Millisecond))
		}
	}
	h := &processHistory{cache: redisstore.NewListCache(s.pipeline, s.prefix, s.log(), nil)}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	var all sync.WaitGroup
	repeat := func(step func(context.Context)) {
		all.Go(func() {
			for ctx.Err() == nil {
				step(t.Context())
			}
		})
	}
	for range 4 {
		repeat(h.write)
	}
	for range 20 {
		repeat(h.read)
	}
	repeat(func(context.Context) {
		sleep(rand.N(300 * time.Millisecond))
		s.network.down.Store(true)
		sleep(rand.N(30 * time.Millisecond))
		s.network.down.Store(false)
	})
	all.Wait()
	reads, hits, unconfirmed := h.reads.Load(), h.hits.Load(), h.unconfirmed.Load()
	t.Logf("%d reads, %d of them hits; %d writes, %d of them unconfirmed", reads, hits, h.stored.Load(), unconfirmed)
	if stale := h.stale.Load(); stale > 0 {
		t.Errorf("%d of %d reads were older than a write that had its response", stale, reads)
	}
	if hits == 0 || unconfirmed == 0 {
		t.Errorf("%d hits and %d unconfirmed writes: this proves nothing", hits, unconfirmed)
	}
}

// Redis runs the early invalidation before the late write, and confirms it after the
// late invalidation has failed.
func TestListCacheMakesUpForAFailedInvalidationOnlyByALaterOne(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*redisstore.ListCache, context.Context, task.Owner) context.Context{
		"prefetched":     (*redisstore.ListCache).Prefetch,
		"not prefetched": func(_ *redisstore.ListCache, ctx context.Context, _ task.Owner) context.Context { return ctx },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, cache := openCache(t)
			loadScripts(t, cache)
			sent, release := holdReplies(s)
			defer release()
			early := make(chan error, 1)
			go func() { early <- cache.Invalidate(t.Context(), 0, "") }()
			testenv.Eventually(t, "Redis has replied to the early invalidation", func() bool { return sent.Load() == 1 })
			s.network.beforeReply = nil
			expectLoad(t, redisstore.NewListCache(s.replica(), s.prefix, s.log(), nil), &fakeDatabase{body: `["old"]`}, false)

			s.network.down.Store(true)
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if err := cache.Invalidate(ctx, 0, ""); err == nil {
				t.Fatal("the late invalidation succeeded without Redis")
			}
			release()
			if err := <-early; err != nil {
				t.Fatal(err)
			}
			testenv.Eventually(t, "the late round trip has failed", s.pipeline.IsOpen)
			s.network.down.Store(false)
			testenv.Eventually(t, "Redis is called again", func() bool { return !s.pipeline.IsOpen() })
			got, err := cache.Load(prepare(cache, t.Context(), 0), 0, (&fakeDatabase{body: `["new"]`}).query)
			if err != nil || string(got.Body) != `["new"]` {
				t.Errorf("got %s, %v; want the list after the late write", got.Body, err)
			}
		})
	}
}
