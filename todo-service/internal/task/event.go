package task

import (
	"time"

	"github.com/google/uuid"
)

// EventType is the kind of a change.
type EventType string

// The event types.
const (
	Created   EventType = "task.created"
	Updated   EventType = "task.updated"
	Completed EventType = "task.completed"
	Reopened  EventType = "task.reopened"
	Deleted   EventType = "task.deleted"
)

// Event is the domain event of one change. The service makes it before the write, and
// the store writes change and event together, or neither.
type Event struct {
	ID    string // UUID v7; identifies the event, its order has no meaning
	Type  EventType
	Task  Task      // after the change; for Deleted the last state with version + 1
	Owner Owner     // of the task; set by the store
	At    time.Time // UTC, microseconds
}

// newID returns an event id. All attempts of a change carry the same id, so a store
// recognises an attempt whose response was lost and never stores it twice.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// EventLogRange names an event log and the range of seqs that it holds.
type EventLogRange struct {
	Name          string // another log has other events at the same seqs
	PurgedThrough int64  // all events up to this seq were purged
	Head          int64  // seq of the newest event; 0 before the first one
}

// Announcement is an event with its position in the event log.
type Announcement struct {
	Log         string // name of the log; "" where the reader knows it
	Seq         int64  // position: from 1, without gaps, the same for every reader
	Event       Event
	Traceparent string // W3C trace context of the request that made the change, or ""
}

// Bookmark reports whether a has no event and only tells a reader its position.
func (a Announcement) Bookmark() bool { return a.Event.Type == "" }
