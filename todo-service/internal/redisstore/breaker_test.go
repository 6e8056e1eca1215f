package redisstore_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/todo-service/internal/redisstore"
)

// answeringHook answers every command without a server.
type answeringHook struct{ goredis.Hook }

func (answeringHook) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (answeringHook) ProcessHook(goredis.ProcessHook) goredis.ProcessHook {
	return func(context.Context, goredis.Cmder) error { return nil }
}

func (answeringHook) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

// The failures here coincide with answers to PINGs.
func TestBreakerClosesEachTimeItOpened(t *testing.T) {
	t.Parallel()
	client := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:1"})
	defer client.Close()
	client.AddHook(answeringHook{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	b := redisstore.NewBreaker(client)
	for round := range 2_000 {
		b.RecordFailure(ctx)
		for b.IsOpen() {
			if ctx.Err() != nil {
				t.Fatalf("in round %d the breaker stayed open", round)
			}
			runtime.Gosched()
		}
	}
}
