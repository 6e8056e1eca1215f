package workload

import (
	"context"

	"example.com/todo/scripts/prove/internal/history"
)

// request is a request for a change, independent of the transport.
type request struct {
	token     string // of a session; "" without sign-in
	operation history.Operation
	key       string // Idempotency-Key of a creation
	id        int64
	expected  *int64 // the version that the task must have
	fields    fields
}

// fields are what a request sets. A completion that sets nothing is no update, but a call of its own.
type fields struct {
	Title    *string `json:"title,omitempty"`
	Priority *int32  `json:"priority,omitempty"`
	Done     *bool   `json:"done,omitempty"`
}

// result is what one attempt shows about the effect.
type result int

const (
	done        result = iota
	refused            // no effect
	busy               // no effect; the same request may succeed later
	notAdmitted        // no effect: the session was not valid, or could not be checked; the same request may succeed later
	notSent            // the request never left
	ambiguous          // the effect may exist, or may come later
)

// response is the outcome of one attempt.
type response struct {
	result result
	status string // as the transport names it
	task   task   // as shown
	// isServerError: the replica itself responded that it failed. The effect remains ambiguous.
	isServerError bool
}

// task is what is known of a task.
type task struct {
	ID      int64 // 0 if unknown
	Title   string
	Version int64 // 0 if unknown
	Done    bool
}

// uncheckedSession is what a response says if Redis did not answer the check of the session. The
// request had no effect. Other responses with the same status leave that open.
const uncheckedSession = "sessions are unavailable"

// isSignedOut reports whether a response says that the session is not valid.
func isSignedOut(status string) bool { return status == "401" || status == "Unauthenticated" }

// transport sends requests to one replica.
type transport interface {
	// send makes one attempt. It returns when there is a response, when there cannot be one, or
	// when ctx ends.
	send(ctx context.Context, r request) response
}
