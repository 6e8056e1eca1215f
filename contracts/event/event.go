// Package event is the form in which a change of a task is announced: on the
// Kafka topic, on the Redis channel of the same name, and wherever an event is
// kept. Events only grow: fields and types are added, never renamed, removed or
// given another meaning, so that producers and consumers are deployed in any
// order.
package event

import (
	"strconv"
	"time"
)

// Where events are, and who sends them.
const (
	Topic    = "task-events"     // the Kafka topic, and the Redis channel of the live feed
	DLQTopic = "task-events-dlq" // what a consumer could not handle
	Service  = "todo-service"    // the only producer, in HeaderService
)

// The types of events. A consumer passes over one it does not know.
const (
	Created   = "task.created"
	Updated   = "task.updated"
	Completed = "task.completed"
	Reopened  = "task.reopened"
	Deleted   = "task.deleted"
)

// The headers of a record. They repeat what the event says, for those who
// route or trace without reading it; only HeaderTraceparent says more.
const (
	HeaderType        = "event-type"
	HeaderService     = "service"
	HeaderID          = "event-id"
	HeaderTraceparent = "traceparent" // W3C trace context of the request that made the change
)

// Event announces one change of one task.
type Event struct {
	ID        string    `json:"id,omitempty"` // UUID v7, opaque to consumers; "" from older producers
	Type      string    `json:"type"`
	TaskID    int64     `json:"task_id"`
	TaskTitle string    `json:"task_title"`
	UserID    *int64    `json:"user_id,omitempty"` // who made the change; nil when nobody was signed in
	Timestamp time.Time `json:"timestamp"`         // when the change was made, UTC
	Task      *Task     `json:"task,omitempty"`    // after the change; nil from older producers
}

// Task is the state of a task after a change, in the form the HTTP API answers
// with. Of a deleted task it is the last state, its version one higher.
type Task struct {
	ID          int64      `json:"id"`
	Title       string     `json:"title"`
	Priority    int        `json:"priority"`
	Done        bool       `json:"done"`
	CreatedAt   time.Time  `json:"created_at"`             // UTC
	CompletedAt *time.Time `json:"completed_at,omitempty"` // UTC; set while Done
	Version     int64      `json:"version"`                // starts at 1, grows by one with each change
}

// Known reports whether the event is of one of the types listed here.
func (e Event) Known() bool {
	switch e.Type {
	case Created, Updated, Completed, Reopened, Deleted:
		return true
	}
	return false
}

// Identity is what an event is recognised by when it comes again: its type and
// its id, or the task's id where an older producer sent none. A task completed,
// reopened and completed again makes two identities; without ids the events of
// one task and type can not be told apart.
func (e Event) Identity() string {
	id := e.ID
	if id == "" {
		id = strconv.FormatInt(e.TaskID, 10)
	}
	return e.Type + ":" + id
}

// Key returns the key of every record about a task. Kafka keeps records of one
// key in order.
func Key(taskID int64) string { return "task-" + strconv.FormatInt(taskID, 10) }
