package task

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

const (
	totalLag  = time.Second     // how old a total may be
	countTime = 5 * time.Second // of one count, which no caller's deadline bounds
)

// total is a number of tasks that costs too much to count for everybody who asks.
// A count answers all who ask within totalLag of its beginning.
type total struct {
	mu   sync.Mutex
	last *counting
}

// counting is one count.
type counting struct {
	begun time.Time
	done  chan struct{}

	n   int64 // these two once done is closed
	err error
}

// get returns what count returned, or is about to, in a call that began less than
// totalLag ago. ctx ends the waiting, not the count, which others wait for.
func (t *total) get(ctx context.Context, count func(context.Context) (int64, error)) (int64, error) {
	c := t.recent(func() (int64, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), countTime)
		defer cancel()
		return count(ctx)
	})
	select {
	case <-c.done:
		return c.n, c.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// recent returns a count that is recent, and begins one if there is none.
func (t *total) recent(count func() (int64, error)) *counting {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.last; c != nil && time.Since(c.begun) < totalLag && !c.failed() {
		return c
	}
	c := &counting{begun: time.Now(), done: make(chan struct{})}
	t.last = c
	go c.run(count)
	return c
}

func (c *counting) run(count func() (int64, error)) {
	defer close(c.done)
	defer func() {
		if p := recover(); p != nil { // no server's recovery sees this goroutine
			c.err = fmt.Errorf("the count panicked: %v\n%s", p, debug.Stack())
		}
	}()
	c.n, c.err = count()
}

// failed says that the count has ended, and with an error: the next may do better.
func (c *counting) failed() bool {
	select {
	case <-c.done:
		return c.err != nil
	default:
		return false
	}
}
