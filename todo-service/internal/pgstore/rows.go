package pgstore

import (
	"time"

	"example.com/todo/todo-service/internal/task"
)

// ownerColumn is the owner of a task or an event; 0 is task.NoOwner.
const ownerColumn = `coalesce(user_id, 0) AS owner`

const taskColumns = `id, title, priority, done, created_at, completed_at, version`

type taskRow struct {
	ID          int64      `db:"id"`
	Title       string     `db:"title"`
	Priority    int        `db:"priority"`
	Done        bool       `db:"done"`
	CreatedAt   time.Time  `db:"created_at"`
	CompletedAt *time.Time `db:"completed_at"`
	Version     int64      `db:"version"`
}

func (r taskRow) task() task.Task {
	t := task.Task{
		ID: r.ID, Title: r.Title, Priority: r.Priority, Done: r.Done,
		CreatedAt: r.CreatedAt.UTC(), Version: r.Version,
	}
	if r.CompletedAt != nil {
		completed := r.CompletedAt.UTC()
		t.CompletedAt = &completed
	}
	return t
}

// eventTaskColumns are the columns of the task as its event recorded it.
const eventTaskColumns = `task_id AS id, title, priority, done, created_at, completed_at, version`

const eventColumns = `id AS event_id, type, at, ` + ownerColumn + `, ` + eventTaskColumns

type eventRow struct {
	EventID string     `db:"event_id"`
	Type    string     `db:"type"`
	At      time.Time  `db:"at"`
	Owner   task.Owner `db:"owner"`
	taskRow
}

func (r eventRow) event() task.Event {
	return task.Event{ID: r.EventID, Type: task.EventType(r.Type), Task: r.task(), Owner: r.Owner, At: r.At.UTC()}
}

const announcementColumns = `seq, traceparent, ` + eventColumns

type announcementRow struct {
	Seq         int64  `db:"seq"`
	Traceparent string `db:"traceparent"`
	Log         string `db:"log"`    // this and the next only for rows behind a cursor
	Cursor      int64  `db:"cursor"` // its position
	eventRow
}

func (r announcementRow) announcement() task.Announcement {
	return task.Announcement{Log: r.Log, Seq: r.Seq, Event: r.event(), Traceparent: r.Traceparent}
}

// convertAll returns the converted rows, in their order.
func convertAll[Row, T any](rows []Row, convert func(Row) T) []T {
	converted := make([]T, len(rows))
	for i, row := range rows {
		converted[i] = convert(row)
	}
	return converted
}
