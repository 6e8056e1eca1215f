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

// far is a Redis that takes its time to answer the limiter's script. As the time
// to the reset it says when it was asked, in microseconds since the start.
type far struct {
	sane
	start time.Time
	away  atomic.Int64 // nanoseconds that an answer takes
	under atomic.Int64 // trips
	most  atomic.Int64 // of them, at the same time
}

func (f *far) ProcessPipelineHook(goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(_ context.Context, cmds []goredis.Cmder) error {
		f.most.Store(max(f.most.Load(), f.under.Add(1)))
		defer f.under.Add(-1)
		asked := time.Since(f.start).Microseconds()
		pass(time.Duration(f.away.Load()))
		for _, cmd := range cmds {
			cmd.(*goredis.Cmd).SetVal([]any{int64(1_000_000), int64(0), asked, int64(0)})
		}
		return nil
	}
}

// crowd has 60 clients, each with one request after the other until ctx ends, and
// counts those that passed uncounted. Nobody is answered by a trip that left before
// he came.
func (f *far) crowd(ctx context.Context, t *testing.T, limiter *redisstore.Limiter, uncounted *atomic.Int64) {
	t.Helper()
	var clients sync.WaitGroup
	for range 60 {
		clients.Go(func() {
			for ; ctx.Err() == nil; pass(rand.N(2 * time.Millisecond)) {
				came := time.Since(f.start).Truncate(time.Microsecond)
				got := limiter.Allow(context.WithoutCancel(ctx), addr)
				switch {
				case !counted(got):
					uncounted.Add(1)
				case got.Reset < came:
					t.Errorf("who came at %v was answered by a trip that left at %v", came, got.Reset)
				}
			}
		})
	}
	clients.Wait()
}

func TestASlowRedisIsWaitedForOnceNotTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:1"})
		defer client.Close()
		f := &far{start: time.Now().Add(-time.Second)}
		client.AddHook(f)
		limiter := redisstore.NewLimiter(redisstore.NewAutoPipeline(client), redisstore.LimiterConfig{Requests: 1_000_000, Window: time.Second}, slog.New(slog.DiscardHandler), nil)
		var uncounted atomic.Int64
		ctx, leave := context.WithCancel(t.Context())
		var clients sync.WaitGroup
		clients.Go(func() { f.crowd(ctx, t, limiter, &uncounted) })
		for _, step := range []struct {
			away, most int64 // milliseconds, trips
			late       bool
		}{{1, 1, false}, {12, 2, false}, {24, 4, false}, {28, 4, false}, {60, 4, true}, {1, 1, false}} {
			f.away.Store(step.away * int64(time.Millisecond))
			pass(200 * time.Millisecond)
			f.most.Store(0)
			uncounted.Store(0)
			pass(500 * time.Millisecond)
			if got := uncounted.Load(); (got > 0) != step.late {
				t.Errorf("answers take %d ms: %d requests passed uncounted", step.away, got)
			}
			if got := f.most.Load(); got == 0 || got > step.most {
				t.Errorf("answers take %d ms: %d trips were under way, want at most %d", step.away, got, step.most)
			}
		}
		leave()
		clients.Wait()
	})
}
