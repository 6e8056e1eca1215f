package httpserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/logging"
)

// problem is an RFC 9457 document.
type problem struct {
	Type      string         `json:"type"`
	Title     string         `json:"title"`
	Status    int            `json:"status"`
	Detail    string         `json:"detail"`
	Error     string         `json:"error"`
	RequestID string         `json:"request_id,omitempty"`
	Errors    []apperr.Field `json:"errors,omitempty"`
}

// statusOf is the one table from refusals to HTTP.
var statusOf = map[apperr.Kind]int{
	apperr.Internal:           http.StatusInternalServerError,
	apperr.Invalid:            http.StatusUnprocessableEntity,
	apperr.NotFound:           http.StatusNotFound,
	apperr.PreconditionFailed: http.StatusPreconditionFailed,
	apperr.Gone:               http.StatusGone,
	apperr.RateLimited:        http.StatusTooManyRequests,
	apperr.Unavailable:        http.StatusServiceUnavailable,
}

// statusError is an error of the transport itself.
type statusError struct {
	status  int
	message string
}

func (e *statusError) Error() string { return e.message }

// StatusError returns an error that WriteProblem answers with status: for requests
// that fail before they mean anything (400, 404, 405, 413, 415). The message is
// shown to the client.
func StatusError(status int, format string, args ...any) error {
	return &statusError{status, fmt.Sprintf(format, args...)}
}

// errHalfClosed is what a client is told that has closed the side on which it sends, which
// net/http takes for its leaving: what then failed did so because of that.
var errHalfClosed = apperr.New(apperr.Unavailable, "the request was given up, because its connection was closed on the client's side; keep it open until the answer is there")

// WriteProblem answers with the problem document of err: a Refuse error, or
// what fault.Of makes of it, with Retry-After when trying again may help.
// Causes are never shown; Instrument logs them.
func WriteProblem(w http.ResponseWriter, r *http.Request, err error) {
	seen := requestStateOf(r.Context())
	seen.err = err
	if apperr.Of(err).Kind == apperr.Unavailable && errors.Is(seen.client.Err(), context.Canceled) {
		err = errHalfClosed
	}
	p := problem{Type: "about:blank", RequestID: logging.RequestID(r.Context())}
	var refused *statusError
	if errors.As(err, &refused) {
		p.Status, p.Error, p.Detail = refused.status, refused.message, refused.message
	} else {
		f := apperr.Of(err)
		p.Status, p.Error, p.Errors = statusOf[f.Kind], f.Message, f.Fields
		p.Detail = problemDetail(f)
		if f.Kind == apperr.RateLimited || f.Kind == apperr.Unavailable {
			w.Header().Set("Retry-After", strconv.Itoa(retryAfterSeconds(f.RetryAfter)))
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

// problemDetail says more than the message where there is more to say.
func problemDetail(f *apperr.Error) string {
	if f.RetryAfter > 0 {
		return fmt.Sprintf("%s; try again in %d s", f.Message, retryAfterSeconds(f.RetryAfter))
	}
	return f.Message
}

// retryAfterSeconds rounds up, and is at least 1: a client must not come back too early.
func retryAfterSeconds(d time.Duration) int {
	return max(1, int((d+time.Second-1)/time.Second))
}
