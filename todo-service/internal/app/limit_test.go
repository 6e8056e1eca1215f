package app

import (
	"context"
	"crypto/rand"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/testenv"
)

// verdict is the limiter's on a request, if there was one.
type verdict int

const (
	unknown verdict = iota
	pass
	refusal
)

// request is when one was sent and answered.
type request struct{ sent, answered time.Time }

// crowd sends requests of one address for a while, each client one after the
// other, and returns them by their verdict, in the order of their sending.
func crowd(ctx context.Context, clients []func(context.Context) verdict) map[verdict][]request {
	var mu sync.Mutex
	all := make(map[verdict][]request)
	var group sync.WaitGroup
	for _, ask := range clients {
		group.Go(func() {
			for ctx.Err() == nil {
				sent := time.Now()
				got := ask(context.WithoutCancel(ctx))
				mu.Lock()
				all[got] = append(all[got], request{sent, time.Now()})
				mu.Unlock()
				<-time.After(20 * time.Millisecond)
			}
		})
	}
	group.Wait()
	for _, requests := range all {
		slices.SortFunc(requests, func(a, b request) int { return a.sent.Compare(b.sent) })
	}
	return all
}

// fewest returns the smallest number of requests that may have passed within the
// window before one was refused.
func fewest(passed, refused []request, window time.Duration) int {
	smallest := len(passed)
	for _, one := range refused {
		inside := 0
		for _, other := range passed {
			if !other.answered.Before(one.sent.Add(-window)) && !other.sent.After(one.answered) {
				inside++
			}
		}
		smallest = min(smallest, inside)
	}
	return smallest
}

// most returns the greatest number of requests whose sending and answer both lie
// within one window.
func most(all []request, window time.Duration) int {
	greatest := 0
	for i, first := range all {
		inside := 0
		for _, other := range all[i:] {
			if !other.answered.After(first.sent.Add(window)) {
				inside++
			}
		}
		greatest = max(greatest, inside)
	}
	return greatest
}

func TestThreeReplicasAndTwoTransportsShareOneExactBudget(t *testing.T) {
	t.Parallel()
	const limit, window, replicas, callers = 300, 2 * time.Second, 3, 64
	shared := testenv.RequireEnv(t, "TEST_REDIS_ADDR")
	prefix := "test-" + rand.Text() + ":"
	var ops []string
	var clients []func(context.Context) verdict
	for range replicas {
		cfg := alone(t)
		cfg.Redis.Addr, cfg.Redis.KeyPrefix = shared, prefix
		cfg.RateLimit = RateLimitConfig{Requests: limit, Window: window}
		cfg.Log.Level = 12 // above all: thousands are refused
		_, stop := serve(t, cfg)
		defer func() {
			if err := stop(); err != nil {
				t.Errorf("Run: %v", err)
			}
		}()
		testenv.Eventually(t, "alive", func() bool { return answered("http://"+cfg.Ops.Addr+"/livez") == http.StatusOK })
		ops = append(ops, "http://"+cfg.Ops.Addr)
		rpc := pb.NewTaskServiceClient(dial(t, cfg.GRPC.Addr))
		clients = append(clients,
			func(context.Context) verdict { // an address that needs no database
				return map[int]verdict{
					http.StatusNotFound:        pass,
					http.StatusTooManyRequests: refusal,
				}[answered("http://"+cfg.HTTP.Addr+"/nothing")]
			},
			func(ctx context.Context) verdict {
				_, err := rpc.GetTask(ctx, &pb.GetTaskRequest{Id: -1})
				return map[codes.Code]verdict{
					codes.InvalidArgument:   pass,
					codes.ResourceExhausted: refusal,
				}[status.Code(err)]
			})
	}
	for i := 0; len(clients) < callers; i++ {
		clients = append(clients, clients[i])
	}
	// Two and a half windows are used three times: at 0, 1 and 2.
	ctx, cancel := context.WithTimeout(t.Context(), window*5/2)
	defer cancel()
	all := crowd(ctx, clients)
	passed, refused := all[pass], all[refusal]

	uncounted := 0 // because Redis, or this machine, was silent for too long
	for _, replica := range ops {
		uncounted += metric(replica, "todo_ratelimit_unavailable_total")
	}
	t.Logf("%d passed, at most %d within a window, %d uncounted; %d were refused", len(passed), most(passed, window), uncounted, len(refused))
	if got := most(passed, window); got > limit+uncounted {
		t.Errorf("%d requests within one window, of them %d uncounted, want at most %d", got, uncounted, limit)
	}
	if len(refused) == 0 {
		t.Error("nobody was refused: this proves nothing")
	}
	if got := fewest(passed, refused, window); got < limit {
		t.Errorf("one was refused after %d requests in its window, want %d", got, limit)
	}
}
