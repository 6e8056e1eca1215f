package notify

import "time"

const completed = "task.completed"

// Event is what happened to a task, as far as notifying needs it.
type Event struct {
	Type        string
	DedupKey    string // the identity under which the event has its effect once
	ID          string // empty from producers older than event ids
	TaskID      int64
	TaskTitle   string
	Timestamp   time.Time
	Position    string // partition:offset of the record; a redelivery has the same
	Traceparent string // W3C trace context from the producer; may be empty
}
