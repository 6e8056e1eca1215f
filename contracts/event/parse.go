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

// MaxBytes is the maximum length of an event: ten times today's longest, which has a
// title of 500 characters that all need escapes. No producer of events sends more.
const MaxBytes = 64 << 10

var (
	errNotObject = errors.New("event: not a JSON object")
	errTooLong   = fmt.Errorf("event: longer than %d bytes", MaxBytes)
)

// Parse decodes an event in today's shape, or in that of older producers: type, task_id,
// task_title, timestamp. A null in an optional field means that the field is absent.
// Parse ignores unknown fields and accepts unknown types; see Known.
//
// It rejects data that is longer than MaxBytes, not JSON, not valid UTF-8, or has a
// required field missing or a field of the wrong type or range. A retry with the same
// data cannot succeed. The error names the field and never quotes the data, which may
// be long or secret.
func Parse(data []byte) (Event, error) {
	if len(data) > MaxBytes {
		return Event{}, errTooLong
	}
	if !utf8.Valid(data) {
		return Event{}, errors.New("event: invalid UTF-8")
	}
	if !json.Valid(data) {
		return Event{}, errNotObject
	}
	members := splitObject(data)
	if members == nil {
		return Event{}, errNotObject
	}
	var e Event
	r := fieldReader{members: members}
	readField(&r, "id", optional, &e.ID)
	readField(&r, "type", required, &e.Type)
	readField(&r, "task_id", required, &e.TaskID)
	readField(&r, "task_title", required, &e.TaskTitle)
	readField(&r, "user_id", optional, &e.UserID)
	readField(&r, "timestamp", required, &e.Timestamp)
	if r.err != nil {
		return Event{}, r.err
	}
	if task, ok := members.lookup("task"); ok {
		if e.Task, r.err = parseTask(task); r.err != nil {
			return Event{}, r.err
		}
	}
	if err := e.validate(); err != nil {
		return Event{}, err
	}
	return e, nil
}

func parseTask(data []byte) (*Task, error) {
	members := splitObject(data)
	if members == nil {
		return nil, invalidField("task", "must be an object")
	}
	t := &Task{}
	r := fieldReader{members: members, path: "task."}
	readField(&r, "id", required, &t.ID)
	readField(&r, "title", required, &t.Title)
	readField(&r, "priority", required, &t.Priority)
	readField(&r, "done", required, &t.Done)
	readField(&r, "created_at", required, &t.CreatedAt)
	readField(&r, "completed_at", optional, &t.CompletedAt)
	readField(&r, "version", required, &t.Version)
	return t, r.err
}

const (
	required = true
	optional = false
)

// fieldReader decodes the fields of an object and keeps the first error.
type fieldReader struct {
	members members
	path    string // of the object, in errors
	err     error
}

// readField decodes the field into into, unless it is absent or null.
func readField[T any](r *fieldReader, name string, need bool, into *T) {
	value, ok := r.members.lookup(name)
	switch {
	case r.err != nil:
	case !ok:
		if need {
			r.err = invalidField(r.path+name, "is missing")
		}
	case decodeValue(value, into) != nil:
		r.err = invalidField(r.path+name, "must be "+expectedType(into))
	}
}

// decodeValue is json.Unmarshal with fast paths for the common types.
func decodeValue(value []byte, into any) (err error) {
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
			return errNotTime
		}
		*into, err = parseTime(unquote(value))
		return err
	case **time.Time:
		*into = new(time.Time)
		return decodeValue(value, *into)
	case *string:
		if value[0] == '"' && bytes.IndexByte(value, '\\') < 0 {
			*into = string(value[1 : len(value)-1])
			return nil
		}
	}
	return json.Unmarshal(value, into)
}

func expectedType(into any) string {
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

func invalidField(field, problem string) error { return fmt.Errorf("event: %s %s", field, problem) }
