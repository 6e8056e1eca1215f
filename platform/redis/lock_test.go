package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/testenv"
)

// line is the way to a real Redis, which can be cut.
type line struct {
	mu     sync.Mutex
	isCut  bool
	frozen bool
	conns  []net.Conn
}

func (l *line) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.frozen {
		near, _ := net.Pipe()
		return near, nil
	}
	if l.isCut {
		return nil, errors.New("the line is cut")
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	l.conns = append(l.conns, conn)
	return conn, err
}

func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = true
	for _, conn := range l.conns {
		conn.Close()
	}
}

// freeze makes Redis take everything and answer nothing.
func (l *line) freeze() {
	l.cut()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frozen = true
}

func (l *line) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut, l.frozen = false, false
}

// overLine returns a client on a real Redis, and a key of the test's own.
func overLine(t *testing.T) (client *goredis.Client, way *line, key string) {
	t.Helper()
	way = &line{}
	addr := testenv.RequireEnv(t, "TEST_REDIS_ADDR")
	client = goredis.NewClient(&goredis.Options{Addr: addr, MaxRetries: -1, Dialer: way.dial, ContextTimeoutEnabled: true})
	key = "test-" + rand.Text() + ":lock:it"
	t.Cleanup(func() {
		way.mend()
		client.Del(context.Background(), key)
		client.Close()
	})
	return client, way, key
}

const shortLife = 600 * time.Millisecond

// untilLost is work that goes on until its context ends.
func untilLost(t *testing.T, before func()) func(context.Context, string) error {
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

func TestALockIsHeldByOneAndFreeAfterwards(t *testing.T) {
	t.Parallel()
	client, _, key := overLine(t)
	err := WithLock(t.Context(), client, key, func(ctx context.Context, token string) error {
		if stored := client.Get(ctx, key).Val(); stored != token {
			t.Errorf("the key holds %q, the token is %q", stored, token)
		}
		if life := client.PTTL(ctx, key).Val(); life <= 29*time.Second || life > lockLife {
			t.Errorf("it lives %v, want 30 s", life)
		}
		err := WithLock(ctx, client, key, func(context.Context, string) error {
			t.Error("two hold it")
			return nil
		})
		var held *LockedError
		if !errors.As(err, &held) || held.AtMost <= 29*time.Second || held.AtMost > lockLife || !strings.HasPrefix(token, held.Holder+"#") {
			t.Errorf("the second is told %v", err)
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
		t.Errorf("the next is told %v, want the work's own error", err)
	}
}

func TestAHeldLockOutlivesItsTime(t *testing.T) {
	t.Parallel()
	client, way, key := overLine(t)
	began := time.Now()
	err := newLock(client, key, shortLife).during(t.Context(), func(ctx context.Context, token string) error {
		way.cut() // for a moment: renewing is tried again
		way.mend()
		for time.Since(began) < 3*shortLife {
			if stored, err := client.Get(ctx, key).Result(); stored != token && (err == nil || errors.Is(err, goredis.Nil)) {
				t.Fatalf("after %v the key holds %q", time.Since(began), stored)
			}
			<-time.After(shortLife / 20)
		}
		return ctx.Err()
	})
	if err != nil {
		t.Error(err)
	}
}

func TestALostLockEndsTheWork(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		lose func(ctx context.Context, client *goredis.Client, way *line, key string)
		left string // whose lock it is then
	}{
		"removed": {func(ctx context.Context, c *goredis.Client, _ *line, key string) { c.Del(ctx, key) }, ""},
		"another's": {func(ctx context.Context, c *goredis.Client, _ *line, key string) {
			c.Set(ctx, key, "another#1", time.Minute)
		}, "another#1"},
		"Redis is away":   {func(_ context.Context, _ *goredis.Client, way *line, _ string) { way.cut() }, ""},
		"Redis is frozen": {func(_ context.Context, _ *goredis.Client, way *line, _ string) { way.freeze() }, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, way, key := overLine(t)
			began := time.Now()
			err := newLock(client, key, shortLife).during(t.Context(), untilLost(t, func() { test.lose(t.Context(), client, way, key) }))
			if !errors.Is(err, ErrLockLost) || !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want ErrLockLost and the work's error", err)
			}
			if took := time.Since(began); took > shortLife+2*time.Second {
				t.Errorf("it ended after %v", took)
			}
			way.mend()
			if test.left != "" && client.Get(t.Context(), key).Val() != test.left {
				t.Error("the other's lock was released")
			}
		})
	}
}

func TestTheCallersEndIsNoLoss(t *testing.T) {
	t.Parallel()
	client, _, key := overLine(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := WithLock(ctx, client, key, untilLost(t, cancel))
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrLockLost) {
		t.Errorf("got %v, want the work's error alone", err)
	}
	if n := client.Exists(t.Context(), key).Val(); n != 0 {
		t.Error("it is held after its caller ended")
	}
}

func TestAPanicReleasesTheLock(t *testing.T) {
	t.Parallel()
	client, _, key := overLine(t)
	func() {
		defer func() { _ = recover() }()
		_ = WithLock(t.Context(), client, key, func(context.Context, string) error { panic("work") })
	}()
	if n := client.Exists(t.Context(), key).Val(); n != 0 {
		t.Error("it is held after a panic")
	}
}

func TestALockThatWasOverwrittenIsAcquired(t *testing.T) {
	t.Parallel()
	for name, overwrite := range map[string]func(context.Context, *goredis.Client, string) error{
		"without a lifetime": func(ctx context.Context, c *goredis.Client, key string) error { return c.Set(ctx, key, "x", 0).Err() },
		"a list":             func(ctx context.Context, c *goredis.Client, key string) error { return c.RPush(ctx, key, "x").Err() },
		"a hash with a lifetime": func(ctx context.Context, c *goredis.Client, key string) error {
			return errors.Join(c.HSet(ctx, key, "x", 1).Err(), c.Expire(ctx, key, time.Minute).Err())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, _, key := overLine(t)
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

func TestALockThatCanNotBeTakenIsNotHeldByAnother(t *testing.T) {
	t.Parallel()
	client, way, key := overLine(t)
	way.cut()
	var held *LockedError
	if err := WithLock(t.Context(), client, key, nil); err == nil || errors.As(err, &held) {
		t.Errorf("got %v, want that Redis is away", err)
	}
}
