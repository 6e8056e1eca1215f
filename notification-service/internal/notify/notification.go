package notify

import (
	"fmt"
	"time"
)

// Notification is one message to a person, made from an Event. It is the same on every attempt.
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
