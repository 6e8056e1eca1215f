package httpserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/logging"
)

// problem is a problem document of RFC 9457, with the members error, request_id and errors.
type problem struct {
	Type      string         `json:"type"`
	Title     string         `json:"title"`
	Status    int            `json:"status"`
	Detail    string         `json:"detail"`
	Error     string         `json:"error"`
	RequestID string         `json:"request_id,omitempty"`
	Errors    []apperr.Field `json:"errors,omitempty"`
}

// statusOf maps the kinds of application errors to HTTP status codes.
var statusOf = map[apperr.Kind]int{
	apperr.Internal:           http.StatusInternalServerError,
	apperr.Invalid:            http.StatusUnprocessableEntity,
	apperr.Unauthenticated:    http.StatusUnauthorized,
	apperr.PermissionDenied:   http.StatusForbidden,
	apperr.NotFound:           http.StatusNotFound,
	apperr.AlreadyExists:      http.StatusConflict,
	apperr.PreconditionFailed: http.StatusPreconditionFailed,
	apperr.Gone:               http.StatusGone,
	apperr.RateLimited:        http.StatusTooManyRequests,
	apperr.Unavailable:        http.StatusServiceUnavailable,
}

// statusError is an error of the HTTP layer itself.
type statusError struct {
	status  int
	message string
}

func (e *statusError) Error() string { return e.message }

// StatusError returns an error that WriteProblem answers with status. It is for requests
// that fail before they reach the application: 400, 404, 405, 413, 415, 421. The message
// is sent to the client.
func StatusError(status int, format string, args ...any) error {
	return &statusError{status, fmt.Sprintf(format, args...)}
}

// errHalfClosed answers a request that failed after its client half-closed the connection.
var errHalfClosed = apperr.New(apperr.Unavailable, "the client closed its side of the connection before the response; the request was aborted")

// WriteProblem sends the problem document of err: a StatusError, or that of apperr.Of(err),
// with Retry-After when a retry may help, and WWW-Authenticate with 401. A Cache-Control that begins with "private" stays.
// Causes are logged by Instrument, never sent.
func WriteProblem(w http.ResponseWriter, r *http.Request, err error) {
	state := requestStateOf(r.Context())
	state.err = err
	// net/http cancels the context when a client closes its sending side, although the client
	// may still read the response.
	if apperr.Of(err).Kind == apperr.Unavailable && errors.Is(state.clientCtx.Err(), context.Canceled) {
		err = errHalfClosed
	}
	p := problem{Type: "about:blank", RequestID: logging.RequestID(r.Context())}
	var plain *statusError
	if errors.As(err, &plain) {
		p.Status, p.Error, p.Detail = plain.status, plain.message, plain.message
	} else {
		f := apperr.Of(err)
		p.Status, p.Error, p.Detail, p.Errors = statusOf[f.Kind], f.Message, f.Message, f.Fields
		if f.RetryAfter > 0 {
			p.Detail += fmt.Sprintf("; try again in %d s", retryAfterSeconds(f.RetryAfter))
		}
		switch f.Kind {
		case apperr.RateLimited, apperr.Unavailable:
			w.Header().Set("Retry-After", strconv.Itoa(retryAfterSeconds(f.RetryAfter)))
		case apperr.Unauthenticated:
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
	}
	p.Title = http.StatusText(p.Status)

	h := w.Header()
	// The handler may have set headers for the response that this one replaces.
	for _, name := range []string{"Content-Length", "Content-Encoding", "Etag", "Last-Modified", "Location"} {
		h.Del(name)
	}
	h.Set("Content-Type", "application/problem+json")
	if !strings.HasPrefix(h.Get("Cache-Control"), "private") {
		h.Set("Cache-Control", "no-store")
	}
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // fails when the client has disconnected
}

// retryAfterSeconds rounds d up to seconds, at least 1, so that no client retries too early.
func retryAfterSeconds(d time.Duration) int {
	return max(1, int((d+time.Second-1)/time.Second))
}
