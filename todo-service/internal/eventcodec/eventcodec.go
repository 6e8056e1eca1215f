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
		ID: e.ID, Type: string(e.Type), TaskID: e.Task.ID, TaskTitle: e.Task.Title, UserID: e.UserID, Timestamp: e.At,
		Task: new(event.Task(e.Task)),
	}
}

// FromContract is the inverse of ToContract. An event without its task, as older
// producers sent it, is an error.
func FromContract(e event.Event) (task.Event, error) {
	if e.Task == nil {
		return task.Event{}, errors.New("the event does not carry its task")
	}
	return task.Event{ID: e.ID, Type: task.EventType(e.Type), UserID: e.UserID, At: e.Timestamp, Task: task.Task(*e.Task)}, nil
}
