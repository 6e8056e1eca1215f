// Package stats holds the rules of counting: which event counts, on which day,
// and that it counts once. It knows no transport, no log and no database.
package stats

import "time"

const completed = "task.completed"

// Event is what happened to a task, and where in its partition it is announced.
type Event struct {
	Type        string
	DedupKey    string // the identity under which it has its effect once
	Timestamp   time.Time
	Offset      int64
	Incarnation string // names the log that it was read from, to be stored beside the offset
}

// Completion is an event that counts, once for each mark. A task completed,
// reopened and completed again counts twice: these are two events.
type Completion struct {
	DedupKey string
	Day      string // the UTC day of the event, as 2006-01-02
	Offset   int64
}

// completionOf reports whether the event counts: reopening and deleting take
// nothing away.
func completionOf(e Event) (Completion, bool) {
	if e.Type != completed {
		return Completion{}, false
	}
	return Completion{DedupKey: e.DedupKey, Day: dayOf(e.Timestamp), Offset: e.Offset}, true
}

func dayOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }
