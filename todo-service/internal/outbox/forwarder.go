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

// forwarder moves one cursor.
type forwarder struct {
	cursor    string
	eventLog  EventLog
	sender    Sender
	log       *slog.Logger
	wakeUps   chan struct{}
	batchSize int // entries in the next pass
}

func newForwarder(cursor string, log EventLog, sender Sender, logger *slog.Logger) *forwarder {
	return &forwarder{
		cursor: cursor, eventLog: log, sender: sender, log: logger.With("cursor", cursor),
		wakeUps: make(chan struct{}, 1), batchSize: maxBatchSize,
	}
}

// nudge is remembered when it comes during a pass.
func (l *forwarder) wake() {
	select {
	case l.wakeUps <- struct{}{}:
	default:
	}
}

func (l *forwarder) run(ctx context.Context) error {
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		if err := l.forwardAll(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-l.wakeUps:
		case <-poll.C:
		}
	}
}

// drain repeats the pass until it comes back short.
func (l *forwarder) forwardAll(ctx context.Context) error {
	for more := true; more && ctx.Err() == nil; {
		err := l.retry(ctx, func(ctx context.Context) error {
			sent, err := l.forwardBatch(ctx)
			more = sent == l.batchSize
			l.adaptBatchSize(err)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// adapt makes passes shorter when one could not be read or sent in its time, which
// would otherwise be tried in vain for ever over a slow line, and longer again later.
func (l *forwarder) adaptBatchSize(err error) {
	switch {
	case err == nil:
		l.batchSize = min(2*l.batchSize, maxBatchSize)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, errStalled):
		l.batchSize = max(l.batchSize/2, 1)
	}
}

var errStalled = errors.New("the database was silent for too long, or another replica's relay at work")

// pass sends one batch. It outlives ctx by the grace, so that being told to stop
// does not waste what is nearly done.
func (l *forwarder) forwardBatch(ctx context.Context) (int, error) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { time.AfterFunc(drainTimeout, func() { cancel(ctx.Err()) }) })()
	patience := time.AfterFunc(stallTimeout, func() { cancel(errStalled) })
	defer patience.Stop()
	sent, err := l.eventLog.Drain(longer, l.cursor, l.batchSize, func(ctx context.Context, batch []task.Announcement) error {
		patience.Reset(stallTimeout)
		ctx, cancel := context.WithTimeout(ctx, sendTimeout)
		defer cancel()
		return l.sender.Send(ctx, batch)
	})
	if err != nil && longer.Err() != nil {
		err = context.Cause(longer)
	}
	return sent, err
}

// relayBackoff is the pause between two attempts to send a batch.
var relayBackoff = retry.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}

// outlive calls try until it succeeds, ctx ends, or the topic is not the configured
// one, which is the only error it returns.
func (l *forwarder) retry(ctx context.Context, try func(context.Context) error) error {
	outage := retry.NewOutage(l.log, "relay has to wait: nothing is lost, events are kept in the database", "relay goes on")
	err := retry.Do(ctx, relayBackoff, outage, func(ctx context.Context) error {
		err := try(ctx)
		var topic *kafka.TopicError
		if errors.As(err, &topic) {
			return retry.Permanent(topic)
		}
		return err
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}
