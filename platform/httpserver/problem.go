package httpserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"example.com/todo/platform/fault"
	"example.com/todo/platform/logging"
)

// problem is an RFC 9457 document.
type problem struct {
	Type      string        `json:"type"`
	Title     string        `json:"title"`
	Status    int           `json:"status"`
	Detail    string        `json:"detail"`
	Error     string        `json:"error"`
	RequestID string        `json:"request_id,omitempty"`
	Errors    []fault.Field `json:"errors,omitempty"`
}

// statusOf is the one table from refusals to HTTP.
var statusOf = map[fault.Kind]int{
	fault.Internal:    http.StatusInternalServerError,
	fault.Invalid:     http.StatusUnprocessableEntity,
	fault.NotFound:    http.StatusNotFound,
	fault.Stale:       http.StatusPreconditionFailed,
	fault.Gone:        http.StatusGone,
	fault.Exhausted:   http.StatusTooManyRequests,
	fault.Unavailable: http.StatusServiceUnavailable,
}

// refusal is an error of the transport itself.
type refusal struct {
	status  int
	message string
}

func (e *refusal) Error() string { return e.message }

// Refuse returns an error that WriteProblem answers with status: for requests
// that fail before they mean anything (400, 404, 405, 413, 415). The message is
// shown to the client.
func Refuse(status int, format string, args ...any) error {
	return &refusal{status, fmt.Sprintf(format, args...)}
}

// halfClosed is what a client is told that has closed the side on which it sends, which
// net/http takes for its leaving: what then failed did so because of that.
var halfClosed = fault.New(fault.Unavailable, "the request was given up, because its connection was closed on the client's side; keep it open until the answer is there")

// WriteProblem answers with the problem document of err: a Refuse error, or
// what fault.Of makes of it, with Retry-After when trying again may help.
// Causes are never shown; Instrument logs them.
func WriteProblem(w http.ResponseWriter, r *http.Request, err error) {
	seen := exchangeOf(r.Context())
	seen.err = err
	if fault.Of(err).Kind == fault.Unavailable && errors.Is(seen.client.Err(), context.Canceled) {
		err = halfClosed
	}
	p := problem{Type: "about:blank", RequestID: logging.RequestID(r.Context())}
	var refused *refusal
	if errors.As(err, &refused) {
		p.Status, p.Error, p.Detail = refused.status, refused.message, refused.message
	} else {
		f := fault.Of(err)
		p.Status, p.Error, p.Errors = statusOf[f.Kind], f.Message, f.Fields
		p.Detail = detail(f)
		if f.Kind == fault.Exhausted || f.Kind == fault.Unavailable {
			w.Header().Set("Retry-After", strconv.Itoa(seconds(f.RetryAfter)))
		}
	}
	p.Title = http.StatusText(p.Status)

	h := w.Header()
	for _, about := range []string{"Content-Length", "Content-Encoding", "Etag", "Last-Modified", "Location"} {
		h.Del(about) // they described the answer this one replaces
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // a client that left needs no answer
}

// detail says more than the message where there is more to say.
func detail(f *fault.Error) string {
	if f.RetryAfter > 0 {
		return fmt.Sprintf("%s; try again in %d s", f.Message, seconds(f.RetryAfter))
	}
	return f.Message
}

// seconds rounds up, and is at least 1: a client must not come back too early.
func seconds(d time.Duration) int {
	return max(1, int((d+time.Second-1)/time.Second))
}
