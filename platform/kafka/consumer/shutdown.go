package consumer

import (
	"context"
	"sync/atomic"
	"time"

	"example.com/todo/platform/kafka/internal/client"
)

// leaveTimeout is how long the last commit and leaving the group may take.
const leaveTimeout = 2 * time.Second

// shutdownGuard bounds a member's shutdown when Kafka does not respond: once ctx has
// ended and no partition has a batch in progress, the final commit and LeaveGroup get
// leaveTimeout. Then the client's calls are aborted.
type shutdownGuard struct {
	ctx    context.Context
	client *client.Client
	active atomic.Int32 // partitions that may have a batch in progress
}

// track keeps the client from being aborted until release is called.
func (g *shutdownGuard) track() (release func()) {
	g.active.Add(1)
	return func() {
		g.active.Add(-1)
		g.abortWhenIdle()
	}
}

func (g *shutdownGuard) abortWhenIdle() {
	if g.ctx.Err() != nil && g.active.Load() == 0 {
		time.AfterFunc(leaveTimeout, g.client.Abort)
	}
}
