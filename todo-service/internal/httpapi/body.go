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

// member is the value of a JSON object's key: absent, null or Value.
type member[T any] struct {
	Value *T
	null  bool
}

// UnmarshalJSON keeps null apart from absent.
func (m *member[T]) UnmarshalJSON(data []byte) error {
	m.null = string(data) == "null"
	return json.Unmarshal(data, &m.Value)
}

// numeral is a JSON number as it was written.
type numeral string

// UnmarshalJSON refuses everything else, with the error of encoding/json.
func (n *numeral) UnmarshalJSON(data []byte) error {
	if c := data[0]; c != '-' && (c < '0' || c > '9') {
		return json.Unmarshal(data, new(int))
	}
	*n = numeral(data)
	return nil
}

// readDraft reads the body of a creation. An absent title is an empty one.
func readDraft(w http.ResponseWriter, r *http.Request) (task.Draft, error) {
	var body struct {
		Title    member[string]  `json:"title"`
		Priority member[numeral] `json:"priority"`
	}
	if err := httpserver.ReadJSON(w, r, maxBody, &body); err != nil {
		return task.Draft{}, err
	}
	var fields fields
	fields.present("title", body.Title.null)
	priority := fields.whole("priority", body.Priority)
	if fields.broken != nil {
		return task.Draft{}, apperr.InvalidFields(fields.broken...)
	}
	return task.Draft{Title: orZero(body.Title.Value), Priority: orZero(priority)}, nil
}

// readChange reads a JSON merge patch (RFC 7396). Nothing of a task can be
// removed, so null is refused.
func readChange(w http.ResponseWriter, r *http.Request) (task.Change, error) {
	var body struct {
		Title    member[string]  `json:"title"`
		Priority member[numeral] `json:"priority"`
		Done     member[bool]    `json:"done"`
	}
	if err := httpserver.ReadJSON(w, r, maxBody, &body, mergePatch); err != nil {
		return task.Change{}, err
	}
	var fields fields
	fields.present("title", body.Title.null)
	priority := fields.whole("priority", body.Priority)
	fields.present("done", body.Done.null)
	if fields.broken != nil {
		return task.Change{}, apperr.InvalidFields(fields.broken...)
	}
	return task.Change{Title: body.Title.Value, Priority: priority, Done: body.Done.Value}, nil
}

// readNothing is for requests that say all in their first line. They need no
// body; one that is sent all the same must be readable, as any other, and an
// object without members, because no key is known.
func readNothing(w http.ResponseWriter, r *http.Request, alsoAccept ...string) error {
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

// fields collects what is wrong with the members of a body.
type fields struct{ broken []apperr.Field }

func (f *fields) refuse(name, problem string) {
	f.broken = append(f.broken, apperr.Field{Name: name, Problem: problem})
}

func (f *fields) present(name string, null bool) {
	if null {
		f.refuse(name, "must not be null; leave it out instead")
	}
}

// longest is how many characters a fraction or a power of ten may have: beyond some
// 800 strconv.ParseFloat is not near it any more.
const longest = 300

// whole gives a JSON number as an int: 1, 1.0 and 1e0 are the same number, and
// 1.00000000000000000001 is another. A number past 32 bits is cut to the nearest
// that fits, and refused as out of range by the application.
func (f *fields) whole(name string, m member[numeral]) *int {
	f.present(name, m.null)
	if m.Value == nil {
		return nil
	}
	text := string(*m.Value)
	near, _ := strconv.ParseFloat(text, 64) // beyond its range it is infinite, or 0
	n := int(min(max(near, math.MinInt32), math.MaxInt32))
	tooLong := len(text) > longest && strings.ContainsAny(text, ".eE")
	if tooLong || math.Abs(near) < math.MaxInt32 && significant(text) != significant(strconv.Itoa(n)) {
		f.refuse(name, "must be a whole number")
		return nil
	}
	return &n
}

// significant returns the digits of a number without the zeros around them: two
// that are near each other are equal when theirs are.
func significant(number string) string {
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
