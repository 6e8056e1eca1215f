package kafka

import (
	"context"
	"sync/atomic"
	"time"
)

// leaveTimeout is how long the last commit and leaving the group may take.
const leaveTimeout = 2 * time.Second

// guard sees to it that a member can stop though Kafka does not answer: when
// ctx has ended and no batch is in hand any more, what is left gets a moment,
// and then the connection is cut.
type shutdownGuard struct {
	ctx    context.Context // whose end it waits for
	conn   *Client
	active atomic.Int32 // that may have a batch in hand
}

// track keeps the connection for a claim, until it is released.
func (f *shutdownGuard) track() (release func()) {
	f.active.Add(1)
	return func() {
		f.active.Add(-1)
		f.closeWhenIdle()
	}
}

func (f *shutdownGuard) closeWhenIdle() {
	if f.ctx.Err() != nil && f.active.Load() == 0 {
		time.AfterFunc(leaveTimeout, f.conn.sockets.closeAll)
	}
}
