package stats

import "time"

const completed = "task.completed"

// Event is what happened to a task, and the offset of its record. One of the type
// task.completed becomes a Completion, which counts.
type Event struct {
	Type        string
	DedupKey    string // the identity under which the event counts once
	User        string // the id of the user that made the change; "" without one
	Timestamp   time.Time
	Offset      int64
	Incarnation string // of the topic that the record was read from; stored beside the offset
}

// Completion is an event that counts. A task that is completed, reopened and completed
// again makes two.
type Completion struct {
	DedupKey string
	User     string // the user that it counts for, beside the total; "" for the total only
	Day      string // the UTC day of the event, as 2006-01-02
	Offset   int64
}

func dayOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }
