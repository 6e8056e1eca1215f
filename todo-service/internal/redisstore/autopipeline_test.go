package redisstore_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/redisstore"
)

// holdReplies delays every reply of Redis until the returned function is called, and
// counts the round trips that were sent.
func holdReplies(s *testRedis) (sent *atomic.Int64, release func()) {
	sent, held := new(atomic.Int64), make(chan struct{})
	s.network.beforeReply = func() {
		sent.Add(1)
		<-held
	}
	return sent, sync.OnceFunc(func() { close(held) })
}

func TestAutoPipelineBatchesCallersThatArriveDuringARoundTrip(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	d := &fakeDatabase{body: `[1]`}
	expectLoad(t, cache, d, false)
	limiter := redisstore.NewLimiter(s.pipeline, s.prefix, redisstore.LimiterConfig{Requests: 1_000, Window: time.Minute}, s.log(), nil)
	sent, release := holdReplies(s)
	defer release()

	var callers sync.WaitGroup
	call := func() {
		callers.Go(func() {
			ctx := cache.Prefetch(t.Context(), 0)
			if !counted(limiter.Allow(ctx, addr)) {
				t.Error("a request was not counted")
			}
			if got, err := cache.Load(ctx, 0, d.query); err != nil || !got.Hit {
				t.Errorf("got %+v, %v, want a hit", got, err)
			}
		})
	}
	call()
	testenv.Eventually(t, "the first round trip is sent", func() bool { return sent.Load() == 1 })
	for range 100 {
		call()
	}
	// The limiter of the first caller may wait, too.
	testenv.Eventually(t, "all callers wait", func() bool { return s.pipeline.Collecting() >= 2*100 })
	release()
	callers.Wait()
	if got := sent.Load(); got > 3 { // the first, perhaps that of its limiter, and that of the hundred
		t.Errorf("101 callers took %d round trips", got)
	}
	if got := limiter.Allow(t.Context(), addr).Remaining; got != 1_000-102 {
		t.Errorf("%d requests are left, want %d: each must be counted", got, 1_000-102)
	}
}

func TestAutoPipelineAnswersNoCallerFromARoundTripSentBeforeItsCall(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	expectLoad(t, cache, &fakeDatabase{body: `["old"]`}, false)
	sent, release := holdReplies(s)
	defer release()
	var early sync.WaitGroup
	early.Go(func() { expectLoad(t, cache, &fakeDatabase{body: `["old"]`}, true) })
	testenv.Eventually(t, "Redis has replied to the early reader", func() bool { return sent.Load() == 1 })

	writer := redisstore.NewListCache(s.replica(), s.prefix, s.log(), nil)
	s.network.beforeReply = nil
	invalidate(t, writer, "")
	late := make(chan struct{})
	go func() {
		defer close(late)
		expectLoad(t, cache, &fakeDatabase{body: `["new"]`}, false)
	}()
	testenv.Eventually(t, "the late reader waits", func() bool { return s.pipeline.Collecting() == 1 })
	release()
	early.Wait()
	<-late
}

func TestAutoPipelineServesOthersWhenACallerIsCancelled(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	d := &fakeDatabase{body: `[1]`}
	expectLoad(t, cache, d, false)
	_, release := holdReplies(s)
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := cache.Load(ctx, 0, d.query); err == nil {
		t.Error("the cancelled caller got a list")
	}
	release()
	expectLoad(t, cache, d, true)
	if got := d.queries.Load(); got != 1 {
		t.Errorf("%d queries, want none for the cancelled caller", got-1)
	}
}

func TestAutoPipelineReturnsAPanicAsAnError(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	var panicked atomic.Bool
	s.network.beforeReply = func() {
		if !panicked.Swap(true) {
			panic("index out of range")
		}
	}
	if err := cache.Invalidate(t.Context(), 0, ""); err == nil || !strings.Contains(err.Error(), "index out of range") {
		t.Errorf("the writer got %v, want the panic", err)
	}
	if err := cache.Invalidate(t.Context(), 0, ""); err != nil {
		t.Errorf("the next round trip: %v", err)
	}
}
