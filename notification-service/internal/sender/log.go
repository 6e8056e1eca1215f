// Package sender implements the sinks for notifications: a webhook client and a log.
package sender

import (
	"context"
	"log/slog"

	"example.com/todo/notification-service/internal/notify"
	"example.com/todo/platform/tracing"
)

// Log writes each notification as one line to the log. It does not deduplicate.
type Log struct {
	log   *slog.Logger
	inner notify.Sender
}

// NewLog returns a sender that writes to log, at level info, after inner has
// delivered: several attempts of inner still make one line. inner may be nil.
func NewLog(log *slog.Logger, inner notify.Sender) *Log { return &Log{log: log, inner: inner} }

// Send implements notify.Sender. Its errors are those of inner.
func (l *Log) Send(ctx context.Context, n notify.Notification) error {
	if l.inner != nil {
		if err := l.inner.Send(ctx, n); err != nil {
			return err
		}
	}
	l.log.InfoContext(tracing.WithTraceparent(ctx, n.Traceparent), n.Text(), "task_id", n.TaskID, "event_id", n.EventID)
	return nil
}
