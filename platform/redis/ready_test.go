package redis_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/redis"
	"example.com/todo/platform/testenv"
)

func TestReadyFailsWhenRedisRejectsACommandOfAConsumer(t *testing.T) {
	t.Parallel()
	set := func(name, value string) func(context.Context, *goredis.Client) error {
		return func(ctx context.Context, c *goredis.Client) error { return c.ConfigSet(ctx, name, value).Err() }
	}
	forbid := func(rule string) func(context.Context, *goredis.Client) error {
		return func(ctx context.Context, c *goredis.Client) error {
			return c.Do(ctx, "ACL", "SETUSER", "default", rule).Err()
		}
	}
	for name, tt := range map[string]struct {
		spoil func(context.Context, *goredis.Client) error
		want  string // in the error
	}{
		"ready":           {nil, ""},
		"full":            {set("maxmemory", "1"), "OOM"},
		"without replica": {set("min-replicas-to-write", "1"), "NOREPLICAS"},
		"a replica": {func(ctx context.Context, c *goredis.Client) error {
			return c.Do(ctx, "REPLICAOF", "127.0.0.1", "1").Err()
		}, "READONLY"},
		"no HSET":   {forbid("-hset"), "script"},
		"no SADD":   {forbid("-sadd"), "script"},
		"no script": {forbid("-evalsha"), "evalsha"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := startRedis(t)
			if tt.spoil != nil {
				if err := tt.spoil(t.Context(), client); err != nil {
					t.Fatal(err)
				}
			}
			if err := client.Ping(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			err := redis.Ready(t.Context(), client, redis.Defaults(), "test")
			if tt.want == "" {
				if err != nil || client.DBSize(t.Context()).Val() != 0 {
					t.Errorf("got %v, and %d keys are left", err, client.DBSize(t.Context()).Val())
				}
				return
			}
			if err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(tt.want)) && !strings.Contains(err.Error(), "NOPERM") {
				t.Errorf("got %v, want one about %s", err, tt.want)
			}
		})
	}
}

// Overwritten markers must not block the partition; the crash counts are lost.
func TestOverwrittenMarkersAreEmpty(t *testing.T) {
	t.Parallel()
	for name, overwrite := range map[string]func(ctx context.Context, c *goredis.Client, key string){
		"text": func(ctx context.Context, c *goredis.Client, key string) { c.Set(ctx, key, "x", 0) },
		"list": func(ctx context.Context, c *goredis.Client, key string) { c.RPush(ctx, key, "x") },
		"set":  func(ctx context.Context, c *goredis.Client, key string) { c.SAdd(ctx, key, "x") },
		"zset": func(ctx context.Context, c *goredis.Client, key string) { c.ZAdd(ctx, key, goredis.Z{Member: "x"}) },
		"stream": func(ctx context.Context, c *goredis.Client, key string) {
			c.XAdd(ctx, &goredis.XAddArgs{Stream: key, Values: []string{"x", "y"}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := goredis.NewClient(&goredis.Options{Addr: testenv.RequireEnv(t, "TEST_REDIS_ADDR"), MaxRetries: -1})
			prefix := "test-" + rand.Text() + ":"
			t.Cleanup(func() {
				client.Del(context.Background(), prefix+"inflight:readers")
				client.Close()
			})
			overwrite(t.Context(), client, prefix+"inflight:readers")
			var log bytes.Buffer
			store := redis.NewQuarantineStore(client, prefix, "readers", slog.New(slog.NewTextHandler(&log, nil)))
			if marker, err := store.Load(t.Context(), 3); err != nil || marker != "" {
				t.Fatalf("the marker is %q, %v", marker, err)
			}
			if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "key="+prefix+"inflight:readers") {
				t.Errorf("it is not logged: %s", &log)
			}
			if swapped, err := store.CompareAndSwap(t.Context(), 3, "", "first"); err != nil || !swapped {
				t.Fatalf("swapped %v, %v", swapped, err)
			}
			if marker, err := store.Load(t.Context(), 3); err != nil || marker != "first" {
				t.Errorf("then the marker is %q, %v", marker, err)
			}
		})
	}
}

// startRedis starts a Redis for the test and returns its client.
func startRedis(t *testing.T) *goredis.Client {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: testenv.StartRedis(t), MaxRetries: -1})
	t.Cleanup(func() { client.Close() })
	return client
}
