package outbox

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/retry"
	"example.com/todo/todo-service/internal/task"
)

// relayBackoff is the wait between two attempts to forward a batch.
var relayBackoff = retry.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}

// forwarder moves one cursor along the event log: it sends the events after it.
type forwarder struct {
	cursor    string
	eventLog  EventLog
	send      Sender
	log       *slog.Logger
	wakeUps   chan struct{} // holds one wake-up
	batchSize int           // of the next batch, 1 to maxBatchSize
}

func newForwarder(cursor string, eventLog EventLog, send Sender, log *slog.Logger) *forwarder {
	return &forwarder{
		cursor: cursor, eventLog: eventLog, send: send, log: log.With("cursor", cursor),
		wakeUps: make(chan struct{}, 1), batchSize: maxBatchSize,
	}
}

// wake makes run look for events. A wake-up during a batch is kept for after it.
func (f *forwarder) wake() {
	select {
	case f.wakeUps <- struct{}{}:
	default:
	}
}

// run forwards batches until one is smaller than its limit, and again on each wake-up and
// each poll. It returns nil when ctx ends, and a *kafka.TopicError of the sender if
// the topic has another number of partitions.
func (f *forwarder) run(ctx context.Context) error {
	for ctx.Err() == nil {
		more := false
		err := f.retry(ctx, func(ctx context.Context) error {
			sent, err := f.forwardBatch(ctx)
			more = sent == f.batchSize
			f.adaptBatchSize(err)
			return err
		})
		if err != nil {
			return err
		}
		if more {
			continue
		}
		select {
		case <-ctx.Done():
		case <-f.wakeUps:
		case <-time.After(pollInterval):
		}
	}
	return nil
}

// adaptBatchSize halves the batch size after a timeout and doubles it after a success.
func (f *forwarder) adaptBatchSize(err error) {
	switch {
	case err == nil:
		f.batchSize = min(2*f.batchSize, maxBatchSize)
	// Over a slow connection a full batch would time out on every attempt.
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, errStalled):
		f.batchSize = max(f.batchSize/2, 1)
	}
}

var errStalled = errors.New("the database did not respond in time, or another replica's relay holds the cursor")

// forwardBatch sends one batch, and returns how many events it had.
func (f *forwarder) forwardBatch(ctx context.Context) (int, error) {
	// When ctx ends, the batch in flight still gets drainTimeout: it would otherwise be
	// sent a second time by another replica.
	batchCtx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { time.AfterFunc(drainTimeout, func() { cancel(ctx.Err()) }) })()
	// A dead connection returns no error, so the database has its own timeout. It
	// restarts with the batch: waiting for a batch takes no time from sending it.
	stalled := time.AfterFunc(stallTimeout, func() { cancel(errStalled) })
	defer stalled.Stop()
	sent, err := f.eventLog.ForwardBatch(batchCtx, f.cursor, f.batchSize, func(ctx context.Context, batch []task.Announcement) error {
		stalled.Reset(stallTimeout)
		ctx, cancel := context.WithTimeout(ctx, sendTimeout)
		defer cancel()
		return f.send(ctx, batch)
	})
	if err != nil && batchCtx.Err() != nil {
		err = context.Cause(batchCtx)
	}
	return sent, err
}

// retry calls attempt until it succeeds or ctx ends (nil), or the topic has another
// number of partitions (a *kafka.TopicError). It waits for a topic that is missing.
func (f *forwarder) retry(ctx context.Context, attempt func(context.Context) error) error {
	outage := retry.NewOutage(f.log, "outbox relay: forwarding failed, retrying; the events stay in the database", "outbox relay: forwarding again")
	err := retry.Do(ctx, relayBackoff, outage, func(ctx context.Context) error {
		err := attempt(ctx)
		if errors.As(err, new(*kafka.TopicError)) && !kafka.IsMissing(err) {
			return retry.Permanent(err)
		}
		return err
	})
	if errors.As(err, new(*kafka.TopicError)) {
		return err
	}
	return nil // sent, or the relay is to stop
}
