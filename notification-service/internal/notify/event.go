// Package notify holds the rules of notifying: which event notifies, in which
// words, and that it does so once. It knows no transport, no log and no database.
package notify

import (
	"fmt"
	"time"
)

const completed = "task.completed"

// Event is what happened to a task, as far as notifying needs it.
type Event struct {
	Type        string
	DedupKey    string // the identity under which it has its effect once
	ID          string // empty from producers older than event ids
	TaskID      int64
	TaskTitle   string
	Timestamp   time.Time
	Position    string // where in the log it was read: the same when the same record is handed in again
	Traceparent string // what it is part of, in the form its producer gave; may be empty
}

// Notification is one message to a person. It is the same on every attempt.
type Notification struct {
	IdempotencyKey string // what a provider recognises it by: one that keeps it delivers once
	EventID        string // the cause; empty when the event has none
	TaskID         int64
	Title          string
	CompletedAt    time.Time // when the task was completed
	Traceparent    string    // as in the event
}

// Text is the message in words.
func (n Notification) Text() string {
	return fmt.Sprintf("Notification: Task '%s' has been completed!", n.Title)
}

// notification is what the event asks for.
func (e Event) notification() Notification {
	n := Notification{IdempotencyKey: e.ID, EventID: e.ID, TaskID: e.TaskID, Title: e.TaskTitle, CompletedAt: e.Timestamp, Traceparent: e.Traceparent}
	if n.IdempotencyKey == "" {
		n.IdempotencyKey = e.DedupKey
	}
	return n
}
