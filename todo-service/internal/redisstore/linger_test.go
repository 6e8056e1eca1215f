package redisstore_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/todo-service/internal/redisstore"
)

// slowHook is a Redis with a delay that answers the limiter's script. Its reset is the
// time at which the script was sent, in microseconds since the start.
type slowHook struct {
	answeringHook
	start       time.Time
	delay       atomic.Int64 // nanoseconds
	inFlight    atomic.Int64 // round trips
	maxInFlight atomic.Int64
}

func (f *slowHook) ProcessPipelineHook(goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(_ context.Context, cmds []goredis.Cmder) error {
		f.maxInFlight.Store(max(f.maxInFlight.Load(), f.inFlight.Add(1)))
		defer f.inFlight.Add(-1)
		sentAt := time.Since(f.start).Microseconds()
		sleep(time.Duration(f.delay.Load()))
		for _, cmd := range cmds {
			cmd.(*goredis.Cmd).SetVal([]any{int64(1_000_000), int64(0), sentAt, int64(0)})
		}
		return nil
	}
}

// runClients runs 60 clients, each with one request after the other until ctx ends, and
// counts the requests that passed uncounted. No request may be answered by a round trip
// that was sent before it.
func (f *slowHook) runClients(ctx context.Context, t *testing.T, limiter *redisstore.Limiter, uncounted *atomic.Int64) {
	t.Helper()
	var clients sync.WaitGroup
	for range 60 {
		clients.Go(func() {
			for ; ctx.Err() == nil; sleep(rand.N(2 * time.Millisecond)) {
				calledAt := time.Since(f.start).Truncate(time.Microsecond)
				got := limiter.Allow(context.WithoutCancel(ctx), addr)
				switch {
				case !counted(got):
					uncounted.Add(1)
				case got.Reset < calledAt:
					t.Errorf("a call at %v was answered by a round trip sent at %v", calledAt, got.Reset)
				}
			}
		})
	}
	clients.Wait()
}

func TestAutoPipelineSendsALingeringBatchBesideASlowRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:1"})
		defer client.Close()
		f := &slowHook{start: time.Now().Add(-time.Second)}
		client.AddHook(f)
		limiter := redisstore.NewLimiter(redisstore.NewAutoPipeline(client), "", redisstore.LimiterConfig{Requests: 1_000_000, Window: time.Second}, slog.New(slog.DiscardHandler), nil)
		var uncounted atomic.Int64
		ctx, cancel := context.WithCancel(t.Context())
		var clients sync.WaitGroup
		clients.Go(func() { f.runClients(ctx, t, limiter, &uncounted) })
		for _, step := range []struct {
			delay, maxInFlight int64 // milliseconds, round trips
			late               bool
		}{{1, 1, false}, {12, 2, false}, {24, 4, false}, {28, 4, false}, {60, 4, true}, {1, 1, false}} {
			f.delay.Store(step.delay * int64(time.Millisecond))
			sleep(200 * time.Millisecond)
			f.maxInFlight.Store(0)
			uncounted.Store(0)
			sleep(500 * time.Millisecond)
			if got := uncounted.Load(); (got > 0) != step.late {
				t.Errorf("delay of %d ms: %d requests passed uncounted", step.delay, got)
			}
			if got := f.maxInFlight.Load(); got == 0 || got > step.maxInFlight {
				t.Errorf("delay of %d ms: %d round trips were in flight, want at most %d", step.delay, got, step.maxInFlight)
			}
		}
		cancel()
		clients.Wait()
	})
}
