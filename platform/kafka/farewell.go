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
	ctx    context.Context // whose end it waits for
	conn   *connection
	claims atomic.Int32 // that may have a batch in hand
}

// hold keeps the connection for a claim, until it is released.
func (f *farewell) hold() (release func()) {
	f.claims.Add(1)
	return func() {
		f.claims.Add(-1)
		f.begin()
	}
}

func (f *farewell) begin() {
	if f.ctx.Err() != nil && f.claims.Load() == 0 {
		time.AfterFunc(flushing, f.conn.sockets.cut)
	}
}
