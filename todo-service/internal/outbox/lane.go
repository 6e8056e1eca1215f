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

// lane moves one cursor.
type lane struct {
	cursor string
	log    EventLog
	sender Sender
	logger *slog.Logger
	wake   chan struct{}
	limit  int // entries in the next pass
}

func newLane(cursor string, log EventLog, sender Sender, logger *slog.Logger) *lane {
	return &lane{
		cursor: cursor, log: log, sender: sender, logger: logger.With("cursor", cursor),
		wake: make(chan struct{}, 1), limit: batchLimit,
	}
}

// nudge is remembered when it comes during a pass.
func (l *lane) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *lane) run(ctx context.Context) error {
	poll := time.NewTicker(slowPoll)
	defer poll.Stop()
	for {
		if err := l.drain(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-l.wake:
		case <-poll.C:
		}
	}
}

// drain repeats the pass until it comes back short.
func (l *lane) drain(ctx context.Context) error {
	for more := true; more && ctx.Err() == nil; {
		err := l.outlive(ctx, func(ctx context.Context) error {
			sent, err := l.pass(ctx)
			more = sent == l.limit
			l.adapt(err)
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
func (l *lane) adapt(err error) {
	switch {
	case err == nil:
		l.limit = min(2*l.limit, batchLimit)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, errSilent):
		l.limit = max(l.limit/2, 1)
	}
}

var errSilent = errors.New("the database was silent for too long, or another replica's relay at work")

// pass sends one batch. It outlives ctx by the grace, so that being told to stop
// does not waste what is nearly done.
func (l *lane) pass(ctx context.Context) (int, error) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { time.AfterFunc(grace, func() { cancel(ctx.Err()) }) })()
	patience := time.AfterFunc(logTime, func() { cancel(errSilent) })
	defer patience.Stop()
	sent, err := l.log.ForwardBatch(longer, l.cursor, l.limit, func(ctx context.Context, batch []task.Announcement) error {
		patience.Reset(logTime)
		ctx, cancel := context.WithTimeout(ctx, sendTime)
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
func (l *lane) outlive(ctx context.Context, try func(context.Context) error) error {
	outage := retry.NewOutage(l.logger, "relay has to wait: nothing is lost, events are kept in the database", "relay goes on")
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
