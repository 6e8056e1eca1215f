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
	maxBody    = 64 << 10 // bytes; a title of 500 characters, every one escaped, takes 6 kB
	mergePatch = "application/merge-patch+json"
)

// optional is a member of a JSON object: absent, null, or a Value.
type optional[T any] struct {
	Value *T
	null  bool
}

// UnmarshalJSON distinguishes null from an absent member.
func (o *optional[T]) UnmarshalJSON(data []byte) error {
	o.null = string(data) == "null"
	return json.Unmarshal(data, &o.Value)
}

// jsonNumber is the literal of a JSON number.
type jsonNumber string

// UnmarshalJSON accepts numbers only; its error is that of encoding/json for an int.
func (n *jsonNumber) UnmarshalJSON(data []byte) error {
	if c := data[0]; c != '-' && (c < '0' || c > '9') {
		return json.Unmarshal(data, new(int))
	}
	*n = jsonNumber(data)
	return nil
}

// readDraft decodes the body of a creation. An absent title becomes an empty one, which
// the application refuses.
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

// readChange decodes a JSON merge patch (RFC 7396). No member of a task can be removed, so
// null is invalid.
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

// readEmptyBody checks the body of a request that needs none. If there is a body, it must
// be valid JSON of an accepted content type, and an object without members.
func readEmptyBody(w http.ResponseWriter, r *http.Request, alsoAccept ...string) error {
	if r.ContentLength < 0 { // chunked: only a read tells whether there is a body
		body := bufio.NewReader(r.Body)
		if _, err := body.Peek(1); errors.Is(err, io.EOF) {
			return nil
		}
		r.Body = io.NopCloser(body) // the server closes the original body
	} else if r.ContentLength == 0 {
		return nil
	}
	return httpserver.ReadJSON(w, r, maxBody, &struct{}{}, alsoAccept...)
}

// invalidFields collects the invalid members of a body.
type invalidFields struct{ list []apperr.Field }

func (f *invalidFields) add(name, problem string) {
	f.list = append(f.list, apperr.Field{Name: name, Problem: problem})
}

func (f *invalidFields) rejectNull(name string, null bool) {
	if null {
		f.add(name, "must not be null; leave it out instead")
	}
}

// maxNumberLength is the largest number of characters of a number with a fraction or an
// exponent: from some 800 digits on, strconv.ParseFloat ignores the rest.
const maxNumberLength = 300

// integer returns a JSON number as an int, or adds an invalid field. 1, 1.0 and 1e0 are
// the same integer; 1.00000000000000000001 is not one. A number beyond 32 bits becomes the
// nearest that fits, which the application refuses as out of range.
func (f *invalidFields) integer(name string, m optional[jsonNumber]) *int {
	f.rejectNull(name, m.null)
	if m.Value == nil {
		return nil
	}
	text := string(*m.Value)
	near, _ := strconv.ParseFloat(text, 64) // infinite or 0 if it is out of range
	n := int(min(max(near, math.MinInt32), math.MaxInt32))
	tooLong := len(text) > maxNumberLength && strings.ContainsAny(text, ".eE")
	if tooLong || math.Abs(near) < math.MaxInt32 && significantDigits(text) != significantDigits(strconv.Itoa(n)) {
		f.add(name, "must be a whole number")
		return nil
	}
	return &n
}

// significantDigits returns the digits of a number without leading and trailing zeros.
// Two numbers that are nearly equal are equal if their significant digits are.
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
