// Package stats holds the rules of counting: which event counts, on which day,
// and that it counts once. It knows no transport, no log and no database.
package stats

import (
	"strconv"
	"time"
)

const completed = "task.completed"

// Event is what happened to a task, and where in its partition it is announced.
type Event struct {
	Type   string
	ID     string // empty from producers older than event ids
	TaskID int64
	At     time.Time
	Offset int64
}

// Completion is an event that counts. Mark is the identity under which it counts
// once: a task completed, reopened and completed again counts twice, for these
// are two events; without an id the events of one task and type can not be told
// apart.
type Completion struct {
	Mark   string // <type>:<event id, or the task's id>
	Day    string // the UTC day of the event, as 2006-01-02
	Offset int64
}

// completionOf reports whether the event counts: reopening and deleting take
// nothing away.
func completionOf(e Event) (Completion, bool) {
	if e.Type != completed {
		return Completion{}, false
	}
	id := e.ID
	if id == "" {
		id = strconv.FormatInt(e.TaskID, 10)
	}
	return Completion{Mark: e.Type + ":" + id, Day: dayOf(e.At), Offset: e.Offset}, true
}

func dayOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }
