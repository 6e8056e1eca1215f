// Package sender holds the ways in which a notification leaves the system.
package sender

import (
	"context"
	"log/slog"

	"example.com/todo/notification-service/internal/notify"
)

// Log writes notifications to the log. It honours no identity: handed the same
// notification twice, it writes two lines.
type Log struct{ log *slog.Logger }

// NewLog returns a sender that writes to log at level info.
func NewLog(log *slog.Logger) *Log { return &Log{log: log} }

// Send implements notify.Sender. It never fails.
func (l *Log) Send(ctx context.Context, n notify.Notification) error {
	l.log.InfoContext(ctx, n.Text(), "task_id", n.TaskID, "event_id", n.EventID)
	return nil
}
