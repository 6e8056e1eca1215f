// Package notify holds the rules of notifying: which event notifies, in which
// words, and that it does so once. It knows no transport, no log and no database.
package notify

import (
	"fmt"
	"strconv"
)

const completed = "task.completed"

// Event is what happened to a task, as far as notifying needs it.
type Event struct {
	Type      string
	ID        string // empty from producers older than event ids
	TaskID    int64
	TaskTitle string
	Place     string // where in the log it was read: the same when the same record is handed in again
}

// mark is the identity under which the event has its effect. A task completed,
// reopened and completed again makes two events, and two notifications; without
// an id the events of one task and type can not be told apart.
func (e Event) mark() string {
	id := e.ID
	if id == "" {
		id = strconv.FormatInt(e.TaskID, 10)
	}
	return e.Type + ":" + id
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
