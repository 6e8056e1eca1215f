// Package event is the contract of domain events: the JSON form of a task's change on the
// Kafka topic and on the Redis channel of the same name. Events only grow: fields and
// types are added, never renamed, removed or given another meaning, so producers and
// consumers can be deployed in any order.
package event

import (
	"slices"
	"strconv"
	"time"
)

// The topics of events, and their producer.
const (
	Topic    = "task-events"     // the Kafka topic, and the Redis channel of the live feed
	DLQTopic = "task-events-dlq" // records that a consumer could not handle
	Service  = "todo-service"    // the only producer, in HeaderService
)

// The types of events. A consumer skips a type that it does not know.
const (
	Created   = "task.created"
	Updated   = "task.updated"
	Completed = "task.completed"
	Reopened  = "task.reopened"
	Deleted   = "task.deleted"
)

// The headers of a record. They repeat fields of the event, so that a router or a tracer
// need not decode it. Only HeaderTraceparent adds information.
const (
	HeaderType        = "event-type"
	HeaderService     = "service"
	HeaderID          = "event-id"
	HeaderTraceparent = "traceparent" // W3C trace context of the request that made the change
)

// Event describes one change of one task.
type Event struct {
	ID        string    `json:"id,omitempty"` // UUID v7, opaque to consumers; "" from older producers
	Type      string    `json:"type"`
	TaskID    int64     `json:"task_id"`
	TaskTitle string    `json:"task_title"`
	UserID    *int64    `json:"user_id,omitempty"` // the user that made the change; nil without sign-in
	Timestamp time.Time `json:"timestamp"`         // time of the change, UTC
	Task      *Task     `json:"task,omitempty"`    // state after the change; nil from older producers
}

// Task is the state of a task after a change, in the JSON form of the HTTP API. A deleted
// task has its last state and a version that is higher by one.
type Task struct {
	ID          int64      `json:"id"`
	Title       string     `json:"title"`
	Priority    int        `json:"priority"`
	Done        bool       `json:"done"`
	CreatedAt   time.Time  `json:"created_at"`             // UTC
	CompletedAt *time.Time `json:"completed_at,omitempty"` // UTC; set while Done
	Version     int64      `json:"version"`                // starts at 1 and grows by one with each change
}

// Known reports whether the event is of one of the types listed here.
func (e Event) Known() bool {
	return slices.Contains([]string{Created, Updated, Completed, Reopened, Deleted}, e.Type)
}

// Identity returns the event's dedup key: its type and its id, or the task's id when an
// older producer sent no event id. A task that is completed, reopened and completed again
// has two identities. Without ids the events of one task and type have the same identity.
func (e Event) Identity() string {
	id := e.ID
	if id == "" {
		id = strconv.FormatInt(e.TaskID, 10)
	}
	return e.Type + ":" + id
}

// Key returns the key of a task's records. Kafka keeps the records of one key in order.
func Key(taskID int64) string { return "task-" + strconv.FormatInt(taskID, 10) }
