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

// passed is when a request that was let through was sent and answered.
type passed struct{ sent, answered time.Time }

// crowd sends requests of one address for a while, each client one after the
// other, and returns those that passed, in the order of their sending.
func crowd(ctx context.Context, clients []func(context.Context) bool) []passed {
	var mu sync.Mutex
	var all []passed
	var group sync.WaitGroup
	for _, ask := range clients {
		group.Go(func() {
			for ctx.Err() == nil {
				sent := time.Now()
				if ask(context.WithoutCancel(ctx)) {
					mu.Lock()
					all = append(all, passed{sent, time.Now()})
					mu.Unlock()
				}
				<-time.After(20 * time.Millisecond)
			}
		})
	}
	group.Wait()
	slices.SortFunc(all, func(a, b passed) int { return a.sent.Compare(b.sent) })
	return all
}

// most returns the greatest number of requests whose sending and answer both lie
// within one window.
func most(all []passed, window time.Duration) int {
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
	shared := testenv.Need(t, "TEST_REDIS_ADDR")
	prefix := "test-" + rand.Text() + ":"
	var ops []string
	var clients []func(context.Context) bool
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
		await(t, "alive", func() bool { return answered("http://"+cfg.Ops.Addr+"/livez") == http.StatusOK })
		ops = append(ops, "http://"+cfg.Ops.Addr)
		rpc := pb.NewTaskServiceClient(dial(t, cfg.GRPC.Addr))
		clients = append(clients,
			func(context.Context) bool { // an address that needs no database
				return answered("http://"+cfg.HTTP.Addr+"/nothing") == http.StatusNotFound
			},
			func(ctx context.Context) bool {
				_, err := rpc.GetTask(ctx, &pb.GetTaskRequest{Id: -1})
				return status.Code(err) == codes.InvalidArgument
			})
	}
	for i := 0; len(clients) < callers; i++ {
		clients = append(clients, clients[i])
	}
	// Two and a half windows are used three times: at 0, 1 and 2.
	ctx, cancel := context.WithTimeout(t.Context(), window*5/2)
	defer cancel()
	all := crowd(ctx, clients)

	uncounted := 0 // because Redis, or this machine, was silent for too long
	for _, replica := range ops {
		uncounted += metric(replica, "todo_ratelimit_unavailable_total")
	}
	t.Logf("%d passed, at most %d within a window, %d uncounted", len(all), most(all, window), uncounted)
	if got := most(all, window); got > limit+uncounted {
		t.Errorf("%d requests within one window, of them %d uncounted, want at most %d", got, uncounted, limit)
	}
	if got, want := len(all), 3*limit*99/100; got < want && uncounted == 0 {
		t.Errorf("%d requests passed in two and a half windows, want at least %d", got, want)
	}
}
