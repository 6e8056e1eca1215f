package kafka

import (
	"context"
	"sync/atomic"
	"time"
)

// flushing is how long the last commit and leaving the group may take.
const flushing = 2 * time.Second

// farewell sees to it that a member can stop though Kafka does not answer: when
// ctx has ended and no batch is in hand any more, what is left gets a moment,
// and then the connection is cut.
type farewell struct {
	ctx  context.Context // whose end it waits for
	conn *connection
	busy atomic.Bool
}

// working says whether batches may be in hand.
func (f *farewell) working(busy bool) {
	f.busy.Store(busy)
	f.begin()
}

func (f *farewell) begin() {
	if f.ctx.Err() != nil && !f.busy.Load() {
		time.AfterFunc(flushing, f.conn.sockets.cut)
	}
}
