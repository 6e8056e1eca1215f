package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/testenv"
	"example.com/todo/platform/testenv/netproxy"
)

// throughProxy returns a client of a real Redis behind a fault proxy, and a key of the test's own.
func throughProxy(t *testing.T) (client *goredis.Client, proxy *netproxy.Proxy, key string) {
	t.Helper()
	proxy = testenv.StartProxy(t, testenv.RequireEnv(t, "TEST_REDIS_ADDR"))
	client = goredis.NewClient(&goredis.Options{Addr: proxy.Addr(), MaxRetries: -1, ContextTimeoutEnabled: true})
	key = "test-" + rand.Text() + ":lock:it"
	t.Cleanup(func() {
		proxy.SetMode(netproxy.Forward)
		client.Del(context.Background(), key)
		client.Close()
	})
	return client, proxy, key
}

const shortTTL = 600 * time.Millisecond

// workUntilCanceled returns work that calls before and ends with its context.
func workUntilCanceled(t *testing.T, before func()) func(context.Context, string) error {
	return func(ctx context.Context, _ string) error {
		before()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Second):
			t.Error("the context did not end")
			return nil
		}
	}
}

func TestLockIsHeldByOneProcessAndReleasedAfterTheWork(t *testing.T) {
	t.Parallel()
	client, _, key := throughProxy(t)
	err := WithLock(t.Context(), client, key, func(ctx context.Context, token string) error {
		if stored := client.Get(ctx, key).Val(); stored != token {
			t.Errorf("the key holds %q, the token is %q", stored, token)
		}
		if life := client.PTTL(ctx, key).Val(); life <= 29*time.Second || life > lockTTL {
			t.Errorf("it lives %v, want 30 s", life)
		}
		err := WithLock(ctx, client, key, func(context.Context, string) error {
			t.Error("two hold it")
			return nil
		})
		var held *LockedError
		if !errors.As(err, &held) || held.AtMost <= 29*time.Second || held.AtMost > lockTTL || !strings.HasPrefix(token, held.Holder+"#") {
			t.Errorf("the second holder got %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := client.Exists(t.Context(), key).Val(); n != 0 {
		t.Error("it is held after the work")
	}
	failure := errors.New("failure")
	if err := WithLock(t.Context(), client, key, func(context.Context, string) error { return failure }); !errors.Is(err, failure) || errors.Is(err, ErrLockLost) {
		t.Errorf("the next holder got %v, want the work's own error", err)
	}
}

func TestHeldLockIsRenewedBeyondItsTTL(t *testing.T) {
	t.Parallel()
	client, proxy, key := throughProxy(t)
	began := time.Now()
	err := newLock(client, key, shortTTL).run(t.Context(), func(ctx context.Context, token string) error {
		proxy.ResetConnections() // a renewal on a reset connection fails and is retried
		for time.Since(began) < 3*shortTTL {
			if stored, err := client.Get(ctx, key).Result(); stored != token && (err == nil || errors.Is(err, goredis.Nil)) {
				t.Fatalf("after %v the key holds %q", time.Since(began), stored)
			}
			<-time.After(shortTTL / 20)
		}
		return ctx.Err()
	})
	if err != nil {
		t.Error(err)
	}
}

func TestLostLockCancelsTheWork(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		lose func(ctx context.Context, client *goredis.Client, proxy *netproxy.Proxy, key string)
		left string // the value of the key afterwards
	}{
		"deleted": {func(ctx context.Context, c *goredis.Client, _ *netproxy.Proxy, key string) { c.Del(ctx, key) }, ""},
		"held by another": {func(ctx context.Context, c *goredis.Client, _ *netproxy.Proxy, key string) {
			c.Set(ctx, key, "another#1", time.Minute)
		}, "another#1"},
		"Redis is down": {func(_ context.Context, _ *goredis.Client, proxy *netproxy.Proxy, _ string) {
			proxy.SetMode(netproxy.Reject)
		}, ""},
		"Redis is frozen": {func(_ context.Context, _ *goredis.Client, proxy *netproxy.Proxy, _ string) {
			proxy.SetMode(netproxy.Stall)
		}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, proxy, key := throughProxy(t)
			began := time.Now()
			err := newLock(client, key, shortTTL).run(t.Context(), workUntilCanceled(t, func() { test.lose(t.Context(), client, proxy, key) }))
			if !errors.Is(err, ErrLockLost) || !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want ErrLockLost and the work's error", err)
			}
			if took := time.Since(began); took > shortTTL+2*time.Second {
				t.Errorf("it ended after %v", took)
			}
			proxy.SetMode(netproxy.Forward)
			if test.left != "" && client.Get(t.Context(), key).Val() != test.left {
				t.Error("the lock of another holder was released")
			}
		})
	}
}

func TestEndOfTheCallersContextIsNoLostLock(t *testing.T) {
	t.Parallel()
	client, _, key := throughProxy(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := WithLock(ctx, client, key, workUntilCanceled(t, cancel))
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrLockLost) {
		t.Errorf("got %v, want the work's error alone", err)
	}
	if n := client.Exists(t.Context(), key).Val(); n != 0 {
		t.Error("it is held after its caller ended")
	}
}

func TestLockIsReleasedAfterAPanic(t *testing.T) {
	t.Parallel()
	client, _, key := throughProxy(t)
	func() {
		defer func() { _ = recover() }()
		_ = WithLock(t.Context(), client, key, func(context.Context, string) error { panic("work") })
	}()
	if n := client.Exists(t.Context(), key).Val(); n != 0 {
		t.Error("it is held after a panic")
	}
}

func TestLockReplacesAForeignKey(t *testing.T) {
	t.Parallel()
	for name, overwrite := range map[string]func(context.Context, *goredis.Client, string) error{
		"without a TTL": func(ctx context.Context, c *goredis.Client, key string) error { return c.Set(ctx, key, "x", 0).Err() },
		"a list":        func(ctx context.Context, c *goredis.Client, key string) error { return c.RPush(ctx, key, "x").Err() },
		"a hash with a TTL": func(ctx context.Context, c *goredis.Client, key string) error {
			return errors.Join(c.HSet(ctx, key, "x", 1).Err(), c.Expire(ctx, key, time.Minute).Err())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, _, key := throughProxy(t)
			if err := overwrite(t.Context(), client, key); err != nil {
				t.Fatal(err)
			}
			worked := false
			err := WithLock(t.Context(), client, key, func(ctx context.Context, token string) error {
				worked = client.Get(ctx, key).Val() == token && client.PTTL(ctx, key).Val() > 0
				return nil
			})
			if err != nil || !worked {
				t.Errorf("the work held the lock: %t, error %v", worked, err)
			}
		})
	}
}

func TestUnreachableRedisIsNoLockedError(t *testing.T) {
	t.Parallel()
	client, proxy, key := throughProxy(t)
	proxy.SetMode(netproxy.Reject)
	var held *LockedError
	if err := WithLock(t.Context(), client, key, nil); err == nil || errors.As(err, &held) {
		t.Errorf("got %v, want the error of an unreachable Redis", err)
	}
}
