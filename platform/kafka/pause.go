package kafka

import (
	"context"
	"math/rand/v2"
	"time"

	"example.com/todo/platform/retry"
)

const (
	firstPause   = 100 * time.Millisecond
	longestPause = 10 * time.Second
)

// pause grows from wait to wait, up to a longest one. Each wait is drawn from
// the upper half, so that those who failed together do not come back together.
type pause struct{ next time.Duration }

// wait returns ctx's error as soon as ctx ends.
func (p *pause) wait(ctx context.Context) error {
	span := max(p.next, firstPause)
	p.next = min(2*span, longestPause)
	if !retry.Wait(ctx, span/2+rand.N(span/2)) {
		return ctx.Err()
	}
	return nil
}

func (p *pause) reset() { p.next = 0 }
