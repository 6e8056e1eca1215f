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
	"example.com/todo/todo-service/internal/redisstore"
)

// outcome is the limiter's decision about a request.
type outcome int

const (
	other outcome = iota
	allowed
	limited
)

// timedRequest has the times of a request and its response.
type timedRequest struct{ sent, received time.Time }

// sendRequests lets each client send requests, one after the other, until ctx ends. It
// returns all requests by outcome, in the order in which they were sent.
func sendRequests(ctx context.Context, clients []func(context.Context) outcome) map[outcome][]timedRequest {
	var mu sync.Mutex
	all := make(map[outcome][]timedRequest)
	var group sync.WaitGroup
	for _, send := range clients {
		group.Go(func() {
			for ctx.Err() == nil {
				sent := time.Now()
				got := send(context.WithoutCancel(ctx))
				mu.Lock()
				all[got] = append(all[got], timedRequest{sent, time.Now()})
				mu.Unlock()
				<-time.After(20 * time.Millisecond)
			}
		})
	}
	group.Wait()
	for _, requests := range all {
		slices.SortFunc(requests, func(a, b timedRequest) int { return a.sent.Compare(b.sent) })
	}
	return all
}

// minAllowed returns the smallest number of allowed requests that the window before a
// limited request may have had.
func minAllowed(passed, refused []timedRequest, window time.Duration) int {
	fewest := len(passed)
	for _, one := range refused {
		inside := 0
		for _, other := range passed {
			if !other.received.Before(one.sent.Add(-window)) && !other.sent.After(one.received) {
				inside++
			}
		}
		fewest = min(fewest, inside)
	}
	return fewest
}

// maxInWindow returns the largest number of requests that were sent and received within
// one window.
func maxInWindow(all []timedRequest, window time.Duration) int {
	most := 0
	for i, first := range all {
		inside := 0
		for _, other := range all[i:] {
			if !other.received.After(first.sent.Add(window)) {
				inside++
			}
		}
		most = max(most, inside)
	}
	return most
}

func TestReplicasAndTransportsShareOneExactRateLimit(t *testing.T) {
	t.Parallel()
	const limit, window, replicas, callers = 300, 2 * time.Second, 3, 64
	shared := testenv.RequireEnv(t, "TEST_REDIS_ADDR")
	prefix := "test-" + rand.Text() + ":"
	var ops []string
	var clients []func(context.Context) outcome
	for range replicas {
		cfg := withoutServers(t)
		cfg.Redis.Addr, cfg.Redis.KeyPrefix = shared, prefix
		cfg.RateLimit = redisstore.LimiterConfig{Requests: limit, Window: window}
		cfg.Log.Level = 12 // above every level: thousands of requests are refused
		serve(t, cfg)
		testenv.Eventually(t, "alive", func() bool { return getStatus("http://"+cfg.Ops.Addr+"/livez") == http.StatusOK })
		ops = append(ops, "http://"+cfg.Ops.Addr)
		rpc := pb.NewTaskServiceClient(dial(t, cfg.GRPC.Addr))
		clients = append(clients,
			func(context.Context) outcome { // a path that needs no database
				return map[int]outcome{
					http.StatusNotFound:        allowed,
					http.StatusTooManyRequests: limited,
				}[getStatus("http://"+cfg.HTTP.Addr+"/nothing")]
			},
			func(ctx context.Context) outcome {
				_, err := rpc.GetTask(ctx, &pb.GetTaskRequest{Id: -1})
				return map[codes.Code]outcome{
					codes.InvalidArgument:   allowed,
					codes.ResourceExhausted: limited,
				}[status.Code(err)]
			})
	}
	for i := 0; len(clients) < callers; i++ {
		clients = append(clients, clients[i])
	}
	// In two and a half windows the limit is reached three times.
	ctx, cancel := context.WithTimeout(t.Context(), window*5/2)
	defer cancel()
	all := sendRequests(ctx, clients)
	passed, refused := all[allowed], all[limited]

	uncounted := 0 // because Redis timed out
	for _, replica := range ops {
		uncounted += readMetric(replica, "todo_ratelimit_unavailable_total")
	}
	t.Logf("%d passed, at most %d within a window, %d uncounted; %d were refused", len(passed), maxInWindow(passed, window), uncounted, len(refused))
	if got := maxInWindow(passed, window); got > limit+uncounted {
		t.Errorf("%d requests within one window, %d of them uncounted, want at most %d", got, uncounted, limit)
	}
	if len(refused) == 0 {
		t.Error("no request was refused: this proves nothing")
	}
	if got := minAllowed(passed, refused, window); got < limit {
		t.Errorf("a request was refused after %d in its window, want %d", got, limit)
	}
}
