package redisstore_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/todo-service/internal/redisstore"
)

// sane answers every command by itself.
type sane struct{ goredis.Hook }

func (sane) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (sane) ProcessHook(goredis.ProcessHook) goredis.ProcessHook {
	return func(context.Context, goredis.Cmder) error { return nil }
}

func (sane) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

// Also when trips fail at the very moment at which a PING is answered.
func TestABreakerClosesEachTimeItOpened(t *testing.T) {
	t.Parallel()
	client := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:1"})
	defer client.Close()
	client.AddHook(sane{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	b := redisstore.NewBreaker(client)
	for round := range 2_000 {
		b.RecordFailure(ctx)
		for b.IsOpen() {
			if ctx.Err() != nil {
				t.Fatalf("in round %d it stayed open", round)
			}
			runtime.Gosched()
		}
	}
}
