package notify

import (
	"fmt"
	"time"
)

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

// Notification is one message to a person. It is the same on every attempt.
type Notification struct {
	IdempotencyKey string // a receiver that remembers keys delivers once
	EventID        string // the cause; empty when the event has no id
	TaskID         int64
	Title          string
	CompletedAt    time.Time
	Traceparent    string
}

// Text returns the message in words.
func (n Notification) Text() string {
	return fmt.Sprintf("Notification: Task '%s' has been completed!", n.Title)
}

func (e Event) notification() Notification {
	n := Notification{
		IdempotencyKey: e.ID, EventID: e.ID, TaskID: e.TaskID, Title: e.TaskTitle,
		CompletedAt: e.Timestamp, Traceparent: e.Traceparent,
	}
	if n.IdempotencyKey == "" {
		n.IdempotencyKey = e.DedupKey
	}
	return n
}
