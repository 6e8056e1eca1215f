package task

import (
	"time"

	"github.com/google/uuid"
)

// EventType says what happened to a task.
type EventType string

// The events of a task.
const (
	Created   EventType = "task.created"
	Updated   EventType = "task.updated"
	Completed EventType = "task.completed"
	Reopened  EventType = "task.reopened"
	Deleted   EventType = "task.deleted"
)

// Event announces one change. The service makes it before the change is
// written, and its store writes both or neither.
type Event struct {
	ID     string // UUID v7: it identifies, and says nothing about order
	Type   EventType
	Task   Task // after the change; of a deleted task the last state, version + 1
	UserID *int64
	At     time.Time // UTC, microseconds
}

// newID makes an event's identity. A change keeps one across all its tries, so
// that a try whose answer was lost can be found by it and never counts twice.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// EventLogRange is where the announcements are.
type EventLogRange struct {
	Name          string // another log has other events at the same places
	PurgedThrough int64  // up to here they are gone
	Head          int64  // the last one there is
}

// Announcement is an event at its place in the log.
type Announcement struct {
	Log         string // the name of the log; "" where only one can be meant
	Seq         int64  // from 1, without gaps, in one order for every reader
	Event       Event
	Traceparent string // W3C trace context of the request that made the change, or ""
}

// Bookmark reports whether a announces nothing and only tells a reader its place.
func (a Announcement) Bookmark() bool { return a.Event.Type == "" }
