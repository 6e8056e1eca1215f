package redisstore_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/todo/todo-service/internal/redisstore"
)

// holdTrips makes every answer of Redis wait until the returned function is
// called, and counts the trips that have left.
func holdTrips(s *server) (left *atomic.Int64, release func()) {
	left, held := new(atomic.Int64), make(chan struct{})
	s.wire.after = func() {
		left.Add(1)
		<-held
	}
	return left, sync.OnceFunc(func() { close(held) })
}

func TestCallersShareTheTripThatLeavesAfterTheyCame(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	d := &database{body: `[1]`}
	expectLoad(t, cache, d, false)
	limiter := redisstore.NewLimiter(s.shuttle, redisstore.LimiterConfig{Prefix: s.prefix, Requests: 1_000, Window: time.Minute}, s.log(), nil)
	left, release := holdTrips(s)
	defer release()

	var callers sync.WaitGroup
	call := func() {
		callers.Go(func() {
			ctx := cache.Prefetch(t.Context())
			if !counted(limiter.Allow(ctx, addr)) {
				t.Error("a request was not counted")
			}
			if got, err := cache.Load(ctx, d.query); err != nil || !got.Hit {
				t.Errorf("got %+v, %v, want a hit", got, err)
			}
		})
	}
	call()
	eventually(t, "the first trip has left", func() bool { return left.Load() == 1 })
	for range 100 {
		call()
	}
	eventually(t, "all wait", func() bool { return s.shuttle.Collecting() == 2*100 })
	release()
	callers.Wait()
	if got := left.Load(); got > 3 { // the first, perhaps its limiter's, and that of the hundred
		t.Errorf("101 callers took %d trips", got)
	}
	if got := limiter.Allow(t.Context(), addr).Remaining; got != 1_000-102 {
		t.Errorf("%d requests are left, want %d: each has to be counted", got, 1_000-102)
	}
}

func TestAReadThatBeganBeforeTheCallerAnswersNotHim(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	expectLoad(t, cache, &database{body: `["old"]`}, false)
	left, release := holdTrips(s)
	defer release()
	var early sync.WaitGroup
	early.Go(func() { expectLoad(t, cache, &database{body: `["old"]`}, true) })
	eventually(t, "the early reader's trip was answered by Redis", func() bool { return left.Load() == 1 })

	writer := redisstore.NewListCache(s.replica(), s.prefix, s.log(), nil)
	s.wire.after = nil
	if err := writer.Invalidate(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	late := make(chan struct{})
	go func() {
		defer close(late)
		expectLoad(t, cache, &database{body: `["new"]`}, false)
	}()
	eventually(t, "the late reader waits", func() bool { return s.shuttle.Collecting() == 1 })
	release()
	early.Wait()
	<-late
}

func TestACallerWhoLeavesHoldsUpNobody(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	d := &database{body: `[1]`}
	expectLoad(t, cache, d, false)
	_, release := holdTrips(s)
	defer release()
	ctx, leave := context.WithCancel(t.Context())
	leave()
	if _, err := cache.Load(ctx, d.query); err == nil {
		t.Error("who left was answered")
	}
	release()
	expectLoad(t, cache, d, true)
	if got := d.queries.Load(); got != 1 {
		t.Errorf("%d queries, want none for who left", got-1)
	}
}

func TestAPanicOnATripIsAnErrorForItsCallers(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	var fell atomic.Bool
	s.wire.after = func() {
		if !fell.Swap(true) {
			panic("index out of range")
		}
	}
	if err := cache.Invalidate(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "index out of range") {
		t.Errorf("the writer was told %v, want the panic", err)
	}
	if err := cache.Invalidate(t.Context(), ""); err != nil {
		t.Errorf("the next trip: %v", err)
	}
}
