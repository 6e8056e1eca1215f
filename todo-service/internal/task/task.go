// Package task is the domain model and the application service of todo-service: the
// task, its changes and their events, the use cases, and the Store interface that they
// need. It knows no transport and no database.
package task

import (
	"fmt"
	"time"

	"example.com/todo/platform/apperr"
)

// The bounds of a task's fields.
const (
	MaxTitle    = 500 // characters, in NFC and trimmed
	MaxPriority = 100
)

// Task is one thing to do. Its JSON form is part of the HTTP API and of the events.
type Task struct {
	ID          int64      `json:"id"`
	Title       string     `json:"title"`
	Priority    int        `json:"priority"`
	Done        bool       `json:"done"`
	CreatedAt   time.Time  `json:"created_at"`             // UTC, microseconds
	CompletedAt *time.Time `json:"completed_at,omitempty"` // set while Done
	Version     int64      `json:"version"`                // 1 for a new task, plus one with each change
}

// Change is a partial change of a task: a nil field stays as it is.
type Change struct {
	Title    *string
	Priority *int
	Done     *bool
}

// New returns an open task at version 1, without an ID, which the store assigns. The
// error is apperr.Invalid for a title or a priority out of bounds.
func New(title string, priority int, now time.Time) (Task, error) {
	t := Task{CreatedAt: normalizeTime(now), Version: 1}
	if err := t.setFields(&title, &priority); err != nil {
		return Task{}, err
	}
	return t, nil
}

// Apply changes the task, increments its version, and returns the type of the event. A
// change that makes no difference returns "". The error is apperr.Invalid for values out
// of bounds; the task is then unchanged.
func (t *Task) Apply(c Change, now time.Time) (EventType, error) {
	before := *t
	if err := t.setFields(c.Title, c.Priority); err != nil {
		*t = before
		return "", err
	}
	kind := Updated
	if c.Done != nil && *c.Done != t.Done {
		t.Done = *c.Done
		if t.Done {
			completed := normalizeTime(now)
			t.CompletedAt = &completed
			kind = Completed
		} else {
			t.CompletedAt = nil
			kind = Reopened
		}
	}
	if *t == before {
		return "", nil
	}
	t.Version++
	return kind, nil
}

func (t *Task) setFields(title *string, priority *int) error {
	var broken []apperr.Field
	if title != nil {
		kept, problem := normalizeTitle(*title)
		if problem != "" {
			broken = append(broken, apperr.Field{Name: "title", Problem: problem})
		}
		t.Title = kept
	}
	if priority != nil {
		if *priority < 0 || *priority > MaxPriority {
			broken = append(broken, apperr.Field{Name: "priority", Problem: fmt.Sprintf("must be from 0 to %d", MaxPriority)})
		}
		t.Priority = *priority
	}
	if len(broken) > 0 {
		return apperr.InvalidFields(broken...)
	}
	return nil
}

// normalizeTime returns now as UTC in microseconds: PostgreSQL and JSON keep that exactly.
func normalizeTime(now time.Time) time.Time { return now.UTC().Truncate(time.Microsecond) }
