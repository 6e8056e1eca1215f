// Package apperr is the one vocabulary in which the system refuses: the domain
// speaks it, and each transport translates it by a single table.
package apperr

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind says what sort of refusal an error is, independent of any transport.
type Kind int

// The kinds. Internal is the zero value, so that an error nobody classified is
// never shown to a client.
const (
	Internal           Kind = iota // a defect or an unexpected state; details stay in the log
	Invalid                        // readable, but breaks a rule; Fields say which
	NotFound                       // the thing asked for does not exist
	PreconditionFailed             // the caller's version of the thing has moved on
	Gone                           // a resume point that is no longer, or was never, in the log
	RateLimited                    // the caller's budget is used up; RetryAfter says when it is not
	Unavailable                    // a dependency or the deadline failed; the same call may succeed later
)

// Field names one input that breaks a rule, and the rule.
type Field struct {
	Name    string `json:"name"`
	Problem string `json:"problem"`
}

// Error is a refusal. Message is a sentence for the client: it says what
// happened and what to try, and never shows internals. Err, the cause, is for
// the log alone.
type Error struct {
	Kind       Kind
	Message    string
	Fields     []Field       // see InvalidFields
	RetryAfter time.Duration // zero when waiting does not help or nobody knows
	Err        error
}

// New returns a refusal with a formatted message. What caused it goes into
// Because, never into the message.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// InvalidFields returns the refusal of fields that break a rule. Its message is
// one sentence: "title must not be empty; priority must be from 0 to 100".
func InvalidFields(broken ...Field) *Error {
	sentences := make([]string, len(broken))
	for i, field := range broken {
		sentences[i] = field.Name + " " + field.Problem
	}
	return &Error{Kind: Invalid, Message: strings.Join(sentences, "; "), Fields: broken}
}

// WithCause records the cause, for the log, and returns e.
func (e *Error) WithCause(cause error) *Error {
	e.Err = cause
	return e
}

// Error gives the message and the cause: it is the log's view, not the client's.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return e.Message + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Of returns the refusal in err's chain. An error without one is Unavailable
// when the caller's deadline or cancellation caused it, and Internal otherwise.
// Of(nil) is nil.
func Of(err error) *Error {
	if err == nil {
		return nil
	}
	var refusal *Error
	if errors.As(err, &refusal) {
		return refusal
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return New(Unavailable, "the request could not be finished in time; try again").WithCause(err)
	}
	return New(Internal, "something went wrong on our side").WithCause(err)
}
