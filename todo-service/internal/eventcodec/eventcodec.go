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
	t := e.Task
	return event.Event{
		ID: e.ID, Type: string(e.Type), TaskID: t.ID, TaskTitle: t.Title, UserID: e.UserID, Timestamp: e.At,
		Task: &event.Task{
			ID: t.ID, Title: t.Title, Priority: t.Priority, Done: t.Done,
			CreatedAt: t.CreatedAt, CompletedAt: t.CompletedAt, Version: t.Version,
		},
	}
}

// FromContract is the inverse of ToContract. An event without its task, as older
// producers sent it, is an error.
func FromContract(e event.Event) (task.Event, error) {
	if e.Task == nil {
		return task.Event{}, errors.New("the event does not carry its task")
	}
	t := *e.Task
	return task.Event{
		ID: e.ID, Type: task.EventType(e.Type), UserID: e.UserID, At: e.Timestamp,
		Task: task.Task{
			ID: t.ID, Title: t.Title, Priority: t.Priority, Done: t.Done,
			CreatedAt: t.CreatedAt, CompletedAt: t.CompletedAt, Version: t.Version,
		},
	}, nil
}
