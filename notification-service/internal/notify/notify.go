// Package notify holds the rules of notifying: which event notifies, in which
// words, and that it does so once. It knows no transport, no log and no database.
package notify

import "fmt"

const completed = "task.completed"

// Event is what happened to a task, as far as notifying needs it.
type Event struct {
	Type      string
	Mark      string // the identity under which it has its effect once
	ID        string // empty from producers older than event ids
	TaskID    int64
	TaskTitle string
	Place     string // where in the log it was read: the same when the same record is handed in again
}

// Notification is one message to a person. EventID names the cause, and is the
// same on every attempt: a provider that keeps it delivers once.
type Notification struct {
	EventID string // empty when the event has none
	TaskID  int64
	Title   string
}

// Text is the message in words.
func (n Notification) Text() string {
	return fmt.Sprintf("Notification: Task '%s' has been completed!", n.Title)
}
