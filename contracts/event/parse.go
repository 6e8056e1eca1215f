package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// MaxBytes is the longest event on the wire. Today's longest, with 500 characters
// that all need escapes, has a tenth of it; what is longer did not come from a
// producer of events.
const MaxBytes = 64 << 10

var (
	errNoObject = errors.New("event: not a JSON object")
	errTooLong  = fmt.Errorf("event: longer than %d bytes", MaxBytes)
)

// Parse reads an event from the wire, in today's shape or in that of older
// producers, {type, task_id, task_title, timestamp}. A null in a field that may
// be absent is an absence.
//
// Fields it does not know are passed over and types it does not know are
// accepted (see Known). What is longer than MaxBytes, not JSON, not valid UTF-8,
// or has a required field missing or a field of the wrong type or out of range
// is refused: it will never be readable, so trying again is in vain. The error
// names the field and never quotes the data, which may be long or secret.
func Parse(data []byte) (Event, error) {
	if len(data) > MaxBytes {
		return Event{}, errTooLong
	}
	if !utf8.Valid(data) {
		return Event{}, errors.New("event: invalid UTF-8")
	}
	if !json.Valid(data) {
		return Event{}, errNoObject
	}
	members, ok := membersOf(data)
	if !ok {
		return Event{}, errNoObject
	}
	var e Event
	r := reader{members: members}
	read(&r, "id", optional, &e.ID)
	read(&r, "type", required, &e.Type)
	read(&r, "task_id", required, &e.TaskID)
	read(&r, "task_title", required, &e.TaskTitle)
	read(&r, "user_id", optional, &e.UserID)
	read(&r, "timestamp", required, &e.Timestamp)
	if r.err != nil {
		return Event{}, r.err
	}
	e.Timestamp = e.Timestamp.UTC()
	if task, ok := members.value("task"); ok {
		t, err := parseTask(task)
		if err != nil {
			return Event{}, err
		}
		e.Task = &t
	}
	if err := e.check(); err != nil {
		return Event{}, err
	}
	return e, nil
}

func parseTask(data []byte) (Task, error) {
	members, ok := membersOf(data)
	if !ok {
		return Task{}, broken("task", "must be an object")
	}
	var t Task
	r := reader{members: members, path: "task."}
	read(&r, "id", required, &t.ID)
	read(&r, "title", required, &t.Title)
	read(&r, "priority", required, &t.Priority)
	read(&r, "done", required, &t.Done)
	read(&r, "created_at", required, &t.CreatedAt)
	read(&r, "completed_at", optional, &t.CompletedAt)
	read(&r, "version", required, &t.Version)
	return t.inUTC(), r.err
}

const (
	required = true
	optional = false
)

// reader takes an object's fields and keeps the first error.
type reader struct {
	members members
	path    string // of the object, in errors
	err     error
}

// read stores the field in into, unless it is absent or null.
func read[T any](r *reader, name string, need bool, into *T) {
	value, ok := r.members.value(name)
	switch {
	case r.err != nil:
	case !ok:
		if need {
			r.err = broken(r.path+name, "is missing")
		}
	case decode(value, into) != nil:
		r.err = broken(r.path+name, "must be "+wanted(into))
	}
}

// decode does what json.Unmarshal does, without its cost for what is usual.
func decode(value []byte, into any) (err error) {
	switch into := into.(type) {
	case *int64:
		*into, err = strconv.ParseInt(string(value), 10, 64)
		return err
	case *int:
		*into, err = strconv.Atoi(string(value))
		return err
	case *bool:
		*into = string(value) == "true"
		if *into || string(value) == "false" {
			return nil
		}
	case *time.Time:
		if value[0] != '"' {
			return errNoTime
		}
		*into, err = parseTime(unquote(value))
		return err
	case **time.Time:
		*into = new(time.Time)
		return decode(value, *into)
	case *string:
		if value[0] == '"' && bytes.IndexByte(value, '\\') < 0 {
			*into = string(value[1 : len(value)-1])
			return nil
		}
	}
	return json.Unmarshal(value, into)
}

func wanted(into any) string {
	switch into.(type) {
	case *string:
		return "a string"
	case *bool:
		return "a boolean"
	case *time.Time, **time.Time:
		return "an RFC 3339 time"
	default:
		return "an integer of 64 bits"
	}
}

func broken(field, problem string) error { return fmt.Errorf("event: %s %s", field, problem) }
