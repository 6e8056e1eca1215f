package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"
)

// Marshal returns the event as compact JSON: keys in the order of the fields, times in UTC
// as RFC 3339, fractions without trailing zeros. It rejects an event that Parse would reject. Parse
// returns an equal event for the result.
func (e Event) Marshal() ([]byte, error) {
	if err := e.validate(); err != nil {
		return nil, err
	}
	e.Timestamp = e.Timestamp.UTC()
	if e.Task != nil {
		t := *e.Task
		t.CreatedAt = t.CreatedAt.UTC()
		if t.CompletedAt != nil {
			t.CompletedAt = new(t.CompletedAt.UTC())
		}
		e.Task = &t
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(e); err != nil {
		return nil, fmt.Errorf("event: %w", err)
	}
	data := bytes.TrimSuffix(out.Bytes(), []byte("\n"))
	if len(data) > MaxBytes {
		return nil, errTooLong
	}
	return data, nil
}

// validate returns the first field whose value is out of range, as an error.
func (e Event) validate() error {
	switch {
	case !utf8.ValidString(e.ID):
		return invalidField("id", invalidUTF8)
	case e.Type == "":
		return invalidField("type", "must not be empty")
	case !utf8.ValidString(e.Type):
		return invalidField("type", invalidUTF8)
	case e.TaskID < 1:
		return invalidField("task_id", "must be positive")
	case !utf8.ValidString(e.TaskTitle):
		return invalidField("task_title", invalidUTF8)
	case !inRFC3339Range(e.Timestamp):
		return invalidField("timestamp", outOfRange)
	case e.Task == nil:
		return nil
	}
	return e.Task.validate()
}

func (t Task) validate() error {
	switch {
	case t.ID < 1:
		return invalidField("task.id", "must be positive")
	case !utf8.ValidString(t.Title):
		return invalidField("task.title", invalidUTF8)
	case t.Version < 1:
		return invalidField("task.version", "must be positive")
	case !inRFC3339Range(t.CreatedAt):
		return invalidField("task.created_at", outOfRange)
	case t.CompletedAt != nil && !inRFC3339Range(*t.CompletedAt):
		return invalidField("task.completed_at", outOfRange)
	}
	return nil
}

const (
	invalidUTF8 = "must be valid UTF-8"
	outOfRange  = "must be a time in the years 1 to 9999"
)

// inRFC3339Range reports whether t is set, and in the years of RFC 3339.
func inRFC3339Range(t time.Time) bool {
	year := t.UTC().Year()
	return !t.IsZero() && year >= 1 && year <= 9999
}
