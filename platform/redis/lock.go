package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/retry"
)

// lockTTL is the lifetime of a lock without renewal. It is renewed every third of it, and every thirtieth
// after a failure.
const lockTTL = 30 * time.Second

// ErrLockLost is the cause of a canceled context of work under a lock: the lock was not renewed in time, was
// deleted, or is held by another process.
var ErrLockLost = errors.New("the lock was lost")

// LockedError is the error of WithLock if another process holds the lock.
type LockedError struct {
	Key    string
	Holder string        // process and host
	AtMost time.Duration // until the lock expires, unless its holder renews it
}

// Error names the holder and the time until the lock expires.
func (e *LockedError) Error() string {
	return fmt.Sprintf("%s is held by %s: unless renewed, it expires in %v at most",
		e.Key, e.Holder, e.AtMost.Round(time.Second))
}

var (
	// A key of another type or without a TTL was not written by a holder and would never expire. It is replaced.
	acquireScript = goredis.NewScript(`if redis.call('TYPE', KEYS[1]).ok == 'string' and redis.call('PTTL', KEYS[1]) >= 0 then return 0 end redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1`)
	renewScript   = goredis.NewScript(`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0`)
	releaseScript = goredis.NewScript(`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`)
)

// WithLock implements a lease lock: it acquires the lock key, calls work, and releases the lock. It does not
// wait: if another process holds the lock, it returns a *LockedError. If the lock is lost, the context of
// work is canceled with the cause ErrLockLost, and an error of work then wraps ErrLockLost.
//
// The lock avoids duplicate work and does not protect data: a process that was paused does not know at once
// that it lost the lock. A script that must not run then compares key with token.
func WithLock(ctx context.Context, client goredis.UniversalClient, key string, work func(ctx context.Context, token string) error) error {
	return newLock(client, key, lockTTL).run(ctx, work)
}

// lock is one acquisition of a lock.
type lock struct {
	client goredis.UniversalClient
	key    string
	token  string // process and host, and a random part for each acquisition
	ttl    time.Duration
}

func newLock(client goredis.UniversalClient, key string, ttl time.Duration) *lock {
	host, _ := os.Hostname()
	return &lock{client: client, key: key, ttl: ttl, token: fmt.Sprintf("process %d on %s#%s", os.Getpid(), host, rand.Text())}
}

func (l *lock) run(ctx context.Context, work func(ctx context.Context, token string) error) error {
	until, err := l.acquire(ctx)
	if err != nil {
		return err
	}
	workCtx, cancel := context.WithCancelCause(ctx)
	var renewer sync.WaitGroup
	renewer.Go(func() {
		if err := l.renew(workCtx, until); err != nil {
			cancel(fmt.Errorf("%w: %w", ErrLockLost, err))
		}
	})
	defer func() { // also when work panics
		cancel(nil)
		renewer.Wait()
		l.release(ctx)
	}()
	err = work(workCtx, l.token)
	if lost := context.Cause(workCtx); err != nil && errors.Is(lost, ErrLockLost) && !errors.Is(err, ErrLockLost) {
		return fmt.Errorf("%w: %w", lost, err)
	}
	return err
}

// acquire returns the time until which the lock is certainly held. Its error is a *LockedError or Redis's.
func (l *lock) acquire(ctx context.Context) (until time.Time, err error) {
	until = time.Now().Add(l.ttl) // before the request, so that Redis expires the lock later
	acquired, err := acquireScript.Run(ctx, l.client, []string{l.key}, l.token, l.ttl.Milliseconds()).Bool()
	if err != nil {
		l.release(ctx) // the script may have been executed
		return until, fmt.Errorf("acquire the lock %s: %w", l.key, err)
	}
	if acquired {
		return until, nil
	}
	held := &LockedError{Key: l.key, Holder: "another process"}
	if token, err := l.client.Get(ctx, l.key).Result(); err == nil {
		held.Holder, _, _ = strings.Cut(token, "#")
	}
	held.AtMost = max(0, l.client.PTTL(ctx, l.key).Val())
	return until, held
}

// renew renews the lock until ctx ends, and then returns nil. Its error says why the lock is lost.
func (l *lock) renew(ctx context.Context, until time.Time) error {
	for wait := l.ttl / 3; retry.Wait(ctx, wait); {
		start := time.Now()
		renewCtx, cancel := context.WithDeadline(ctx, until)
		renewed, err := renewScript.Run(renewCtx, l.client, []string{l.key}, l.token, l.ttl.Milliseconds()).Bool()
		cancel()
		switch {
		case renewed:
			until, wait = start.Add(l.ttl), l.ttl/3
		case err == nil:
			return errors.New("it was deleted, or is held by another process")
		case !time.Now().Before(until):
			return fmt.Errorf("it could not be renewed for %v: %w", l.ttl, err)
		default:
			wait = min(l.ttl/30, time.Until(until))
		}
	}
	return nil
}

// release deletes the lock if it has this token. If that fails, the lock expires.
func (l *lock) release(ctx context.Context) {
	releaseCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.ttl/10)
	defer cancel()
	_ = releaseScript.Run(releaseCtx, l.client, []string{l.key}, l.token).Err()
}
