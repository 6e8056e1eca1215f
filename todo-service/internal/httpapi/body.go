package httpapi

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"reflect"

	"example.com/todo/platform/httpserver"
	"example.com/todo/todo-service/internal/task"
)

const (
	maxBody    = 64 << 10 // bytes; a title of 500 characters, every one escaped, takes 6 kB
	mergePatch = "application/merge-patch+json"
)

// optional is a member of a JSON object that may be absent.
type optional[T any] struct{ value *T }

// UnmarshalJSON rejects null, which a pointer would take for an absent member.
func (o *optional[T]) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return &json.UnmarshalTypeError{Value: "null", Type: reflect.TypeFor[T]()}
	}
	return json.Unmarshal(data, &o.value)
}

// integer is a JSON number without a fraction, in any notation: by JSON Schema 1, 1.0 and
// 1e0 are the same integer.
type integer int

// UnmarshalJSON has the errors of an int, and rejects null.
func (i *integer) UnmarshalJSON(data []byte) error {
	var number *float64
	switch err := json.Unmarshal(data, &number); {
	case err == nil && number == nil:
		return &json.UnmarshalTypeError{Value: "null", Type: reflect.TypeFor[int]()}
	case err == nil && *number == math.Trunc(*number) && math.Abs(*number) <= math.MaxInt32:
		*i = integer(*number)
		return nil
	}
	return json.Unmarshal(data, (*int)(i))
}

// readDraft decodes the body of a creation. An absent title becomes an empty one, which
// the application refuses.
func readDraft(w http.ResponseWriter, r *http.Request) (task.Draft, error) {
	var body struct {
		Title    string  `json:"title"`
		Priority integer `json:"priority"`
	}
	err := httpserver.ReadJSON(w, r, maxBody, &body)
	return task.Draft{Title: body.Title, Priority: int(body.Priority)}, err
}

// readChange decodes a JSON merge patch (RFC 7396). No member of a task can be removed, so
// null is invalid.
func readChange(w http.ResponseWriter, r *http.Request) (task.Change, error) {
	var body struct {
		Title    optional[string]  `json:"title"`
		Priority optional[integer] `json:"priority"`
		Done     optional[bool]    `json:"done"`
	}
	err := httpserver.ReadJSON(w, r, maxBody, &body, mergePatch)
	return task.Change{Title: body.Title.value, Priority: (*int)(body.Priority.value), Done: body.Done.value}, err
}

// readEmptyBody checks the body of a request that needs none. If there is a body, it must
// be valid JSON of an accepted content type, and an object without members.
func readEmptyBody(w http.ResponseWriter, r *http.Request, alsoAccept ...string) error {
	if !hasBody(r) {
		return nil
	}
	return httpserver.ReadJSON(w, r, maxBody, &struct{}{}, alsoAccept...)
}

// hasBody reports whether the request has a body of at least one byte.
func hasBody(r *http.Request) bool {
	if r.ContentLength >= 0 {
		return r.ContentLength > 0
	}
	// A chunked body: only a read tells.
	body := bufio.NewReader(r.Body)
	if _, err := body.Peek(1); errors.Is(err, io.EOF) {
		return false
	}
	r.Body = io.NopCloser(body) // the server closes the original body
	return true
}
