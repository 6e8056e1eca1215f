// Package eventcodec turns the domain's events into those of the contract and back, in
// one place for everything that sends or hears of them.
package eventcodec

import (
	"errors"

	"example.com/todo/contracts/event"
	"example.com/todo/todo-service/internal/task"
)

// ToContract returns the event as the contract describes it.
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

// FromContract returns the event that To made e of. An event without its task, as older
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
