// Package sender holds the ways in which a notification leaves the system.
package sender

import (
	"context"
	"log/slog"

	"example.com/todo/notification-service/internal/notify"
	"example.com/todo/platform/tracing"
)

// Log writes notifications to the log. It honours no identity: handed the same
// notification twice, it writes two lines.
type Log struct {
	log   *slog.Logger
	inner notify.Sender
}

// NewLog returns a sender that writes to log, at level info, what first has
// delivered, so that what first is asked again and again makes one line. A nil
// first is none.
func NewLog(log *slog.Logger, first notify.Sender) *Log { return &Log{log: log, inner: first} }

// Send implements notify.Sender. It fails as first does, and by itself never.
func (l *Log) Send(ctx context.Context, n notify.Notification) error {
	if l.inner != nil {
		if err := l.inner.Send(ctx, n); err != nil {
			return err
		}
	}
	l.log.InfoContext(tracing.WithTraceparent(ctx, n.Traceparent), n.Text(), "task_id", n.TaskID, "event_id", n.EventID)
	return nil
}
