// Package eventcodec converts between the domain's events and the contract's events, for
// every adapter that sends or receives events, and caches encoded announcements.
package eventcodec

import (
	"errors"

	"example.com/todo/contracts/event"
	"example.com/todo/todo-service/internal/task"
)

// ToContract returns the event in the form of the contract.
func ToContract(e task.Event) event.Event {
	return event.Event{
		ID: e.ID, Type: string(e.Type), TaskID: e.Task.ID, TaskTitle: e.Task.Title, UserID: e.Owner.UserID(), Timestamp: e.At,
		Task: new(event.Task(e.Task)),
	}
}

// FromContract is the inverse of ToContract. An event without its task, as older
// producers sent it, is an error, and so is a user that is not positive.
func FromContract(e event.Event) (task.Event, error) {
	if e.Task == nil {
		return task.Event{}, errors.New("the event does not carry its task")
	}
	owner := task.NoOwner
	if e.UserID != nil {
		// Read as NoOwner, another number would show the event to every client without sign-in.
		if owner = task.Owner(*e.UserID); owner < 1 {
			return task.Event{}, errors.New("the event's user is not positive")
		}
	}
	return task.Event{ID: e.ID, Type: task.EventType(e.Type), Owner: owner, At: e.Timestamp, Task: task.Task(*e.Task)}, nil
}
