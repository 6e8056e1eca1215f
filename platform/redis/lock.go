package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// lockTTL is how long a lock outlives its holder. It is renewed three times in
// that time, more often while renewing fails.
const lockTTL = 30 * time.Second

// ErrLockLost is why the context of a lock's holder ended before its work did:
// the lock was not renewed in time, was removed, or is another's.
var ErrLockLost = errors.New("the lock was lost")

// LockedError says that somebody else holds the lock.
type LockedError struct {
	Key    string
	Holder string        // which process, on which host
	AtMost time.Duration // after which the lock is free, unless its holder lives and renews it
}

// Error says who holds it and for how long.
func (e *LockedError) Error() string {
	return fmt.Sprintf("%s is held by %s: it is free in %v at most, once that one is done or dead",
		e.Key, e.Holder, e.AtMost.Round(time.Second))
}

var (
	// A key of another type or without a lifetime was not written by a holder, and
	// would never expire, so acquiring replaces it.
	acquireScript = goredis.NewScript(`if redis.call('TYPE', KEYS[1]).ok == 'string' and redis.call('PTTL', KEYS[1]) >= 0 then return 0 end redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1`)
	renewScript   = goredis.NewScript(`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0`)
	releaseScript = goredis.NewScript(`if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`)
)

// WithLock does the work while this process alone holds the lock key, and
// releases it then. Held by another, the lock is not waited for: the error is a
// *LockedError, at once. The work's context ends when the lock is lost, with
// ErrLockLost as its cause; an error of the work's then wraps that too.
//
// A lock saves work and guards no data: a holder that was frozen goes on for a
// moment after the lock has passed to another. What must not happen then is
// refused by a script that finds key without the holder's token in it.
func WithLock(ctx context.Context, client goredis.UniversalClient, key string, work func(ctx context.Context, token string) error) error {
	return newLock(client, key, lockTTL).run(ctx, work)
}

// lock is one holder's hold on a key.
type lock struct {
	client goredis.UniversalClient
	key    string
	token  string // who, and what makes it another's than theirs before
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
	working, end := context.WithCancelCause(ctx)
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		if err := l.renew(working, until); err != nil {
			end(fmt.Errorf("%w: %w", ErrLockLost, err))
		}
	}()
	defer func() { // when the work panics, too
		end(nil)
		<-kept
		l.release(ctx)
	}()
	err = work(working, l.token)
	if lost := context.Cause(working); err != nil && errors.Is(lost, ErrLockLost) && !errors.Is(err, ErrLockLost) {
		return fmt.Errorf("%w: %w", lost, err)
	}
	return err
}

// acquire returns until when the lock is surely held.
func (l *lock) acquire(ctx context.Context) (until time.Time, err error) {
	until = time.Now().Add(l.ttl)
	mine, err := acquireScript.Run(ctx, l.client, []string{l.key}, l.token, l.ttl.Milliseconds()).Bool()
	if err != nil {
		l.release(ctx) // only the answer may have been lost
		return until, fmt.Errorf("take the lock %s: %w", l.key, err)
	}
	if mine {
		return until, nil
	}
	held := &LockedError{Key: l.key, Holder: "another"}
	if token, err := l.client.Get(ctx, l.key).Result(); err == nil {
		held.Holder, _, _ = strings.Cut(token, "#")
	}
	held.AtMost = max(0, l.client.PTTL(ctx, l.key).Val())
	return until, held
}

// renew renews the lock until ctx ends. Its error is why the lock is lost.
func (l *lock) renew(ctx context.Context, until time.Time) error {
	timer := time.NewTimer(l.ttl / 3)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		began := time.Now()
		renewing, cancel := context.WithDeadline(ctx, until)
		mine, err := renewScript.Run(renewing, l.client, []string{l.key}, l.token, l.ttl.Milliseconds()).Bool()
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil && mine:
			until = began.Add(l.ttl)
			timer.Reset(l.ttl / 3)
		case err == nil:
			return errors.New("it was removed, or is another's")
		case !time.Now().Before(until):
			return fmt.Errorf("it could not be renewed for %v: %w", l.ttl, err)
		default:
			timer.Reset(min(l.ttl/30, time.Until(until)))
		}
	}
}

// release removes the lock if it is still this holder's. It will end by itself
// when that fails.
func (l *lock) release(ctx context.Context) {
	releasing, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.ttl/10)
	defer cancel()
	_ = releaseScript.Run(releasing, l.client, []string{l.key}, l.token).Err()
}
