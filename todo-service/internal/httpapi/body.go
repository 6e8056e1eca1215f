package httpapi

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/httpserver"
	"example.com/todo/todo-service/internal/task"
)

const (
	maxBody    = 64 << 10
	mergePatch = "application/merge-patch+json"
)

// optional is the value of a JSON object's key: absent, null or Value.
type optional[T any] struct {
	Value *T
	null  bool
}

// UnmarshalJSON keeps null apart from absent.
func (m *optional[T]) UnmarshalJSON(data []byte) error {
	m.null = string(data) == "null"
	return json.Unmarshal(data, &m.Value)
}

// jsonNumber is a JSON number as it was written.
type jsonNumber string

// UnmarshalJSON refuses everything else, with the error of encoding/json.
func (n *jsonNumber) UnmarshalJSON(data []byte) error {
	if c := data[0]; c != '-' && (c < '0' || c > '9') {
		return json.Unmarshal(data, new(int))
	}
	*n = jsonNumber(data)
	return nil
}

// readDraft reads the body of a creation. An absent title is an empty one.
func readDraft(w http.ResponseWriter, r *http.Request) (task.Draft, error) {
	var body struct {
		Title    optional[string]     `json:"title"`
		Priority optional[jsonNumber] `json:"priority"`
	}
	if err := httpserver.ReadJSON(w, r, maxBody, &body); err != nil {
		return task.Draft{}, err
	}
	var fields invalidFields
	fields.rejectNull("title", body.Title.null)
	priority := fields.integer("priority", body.Priority)
	if fields.list != nil {
		return task.Draft{}, apperr.InvalidFields(fields.list...)
	}
	return task.Draft{Title: orZero(body.Title.Value), Priority: orZero(priority)}, nil
}

// readChange reads a JSON merge patch (RFC 7396). Nothing of a task can be
// removed, so null is refused.
func readChange(w http.ResponseWriter, r *http.Request) (task.Change, error) {
	var body struct {
		Title    optional[string]     `json:"title"`
		Priority optional[jsonNumber] `json:"priority"`
		Done     optional[bool]       `json:"done"`
	}
	if err := httpserver.ReadJSON(w, r, maxBody, &body, mergePatch); err != nil {
		return task.Change{}, err
	}
	var fields invalidFields
	fields.rejectNull("title", body.Title.null)
	priority := fields.integer("priority", body.Priority)
	fields.rejectNull("done", body.Done.null)
	if fields.list != nil {
		return task.Change{}, apperr.InvalidFields(fields.list...)
	}
	return task.Change{Title: body.Title.Value, Priority: priority, Done: body.Done.Value}, nil
}

// readEmptyBody is for requests that say all in their first line. They need no
// body; one that is sent all the same must be readable, as any other, and an
// object without members, because no key is known.
func readEmptyBody(w http.ResponseWriter, r *http.Request, alsoAccept ...string) error {
	if r.ContentLength < 0 { // it comes in chunks, of which there may be none
		body := bufio.NewReader(r.Body)
		if _, err := body.Peek(1); errors.Is(err, io.EOF) {
			return nil
		}
		r.Body = io.NopCloser(body) // the server closes its own
	} else if r.ContentLength == 0 {
		return nil
	}
	return httpserver.ReadJSON(w, r, maxBody, &struct{}{}, alsoAccept...)
}

// invalidFields collects what is wrong with the members of a body.
type invalidFields struct{ list []apperr.Field }

func (f *invalidFields) add(name, problem string) {
	f.list = append(f.list, apperr.Field{Name: name, Problem: problem})
}

func (f *invalidFields) rejectNull(name string, null bool) {
	if null {
		f.add(name, "must not be null; leave it out instead")
	}
}

// maxNumberLength is how many characters a fraction or a power of ten may have: beyond some
// 800 strconv.ParseFloat is not near it any more.
const maxNumberLength = 300

// whole gives a JSON number as an int: 1, 1.0 and 1e0 are the same number, and
// 1.00000000000000000001 is another. A number past 32 bits is cut to the nearest
// that fits, and refused as out of range by the application.
func (f *invalidFields) integer(name string, m optional[jsonNumber]) *int {
	f.rejectNull(name, m.null)
	if m.Value == nil {
		return nil
	}
	text := string(*m.Value)
	near, _ := strconv.ParseFloat(text, 64) // beyond its range it is infinite, or 0
	n := int(min(max(near, math.MinInt32), math.MaxInt32))
	tooLong := len(text) > maxNumberLength && strings.ContainsAny(text, ".eE")
	if tooLong || math.Abs(near) < math.MaxInt32 && significantDigits(text) != significantDigits(strconv.Itoa(n)) {
		f.add(name, "must be a whole number")
		return nil
	}
	return &n
}

// significantDigits returns the digits of a number without the zeros around them: two
// that are near each other are equal when theirs are.
func significantDigits(number string) string {
	digits, _, _ := strings.Cut(strings.ToLower(number), "e")
	return strings.Trim(strings.Replace(digits, ".", "", 1), "-0")
}

func orZero[T any](value *T) T {
	if value == nil {
		var zero T
		return zero
	}
	return *value
}
