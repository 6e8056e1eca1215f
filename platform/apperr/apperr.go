// Package apperr defines application errors: ten kinds, independent of any transport.
// The domain returns them; each transport maps the kinds to its own codes in one table.
package apperr

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind classifies an Error.
type Kind int

// The kinds. Internal is the zero value, so that the text of an unclassified error is
// never sent to a client.
const (
	Internal           Kind = iota // a defect or an unexpected state; details go to the log only
	Invalid                        // well-formed input that violates a rule; Fields has the violations
	Unauthenticated                // the caller has not signed in, or its session has ended
	PermissionDenied               // the caller is known and may not do this
	NotFound                       // the requested object does not exist
	AlreadyExists                  // another object has the name that must be unique
	PreconditionFailed             // the object has another version than the caller expects
	Gone                           // a resume point that the event log no longer has, or never had
	RateLimited                    // the caller's quota is used up until RetryAfter has passed
	Unavailable                    // a dependency failed or the deadline passed; a retry may succeed
)

// Field is one input that violates a rule. Problem states the rule: "must not be empty".
type Field struct {
	Name    string `json:"name"`
	Problem string `json:"problem"`
}

// Error is an application error. Message is sent to the client: it says what happened
// and what to do, and contains no internals. Err, the cause, is only logged.
type Error struct {
	Kind       Kind
	Message    string
	Fields     []Field       // of an Invalid error, see InvalidFields
	RetryAfter time.Duration // 0: unknown, or a retry does not help
	Err        error
}

// New returns an Error with a formatted message. Attach the cause by WithCause; do not
// format it into the message.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// InvalidFields returns an Invalid error. Its message joins the fields:
// "title must not be empty; priority must be from 0 to 100".
func InvalidFields(fields ...Field) *Error {
	sentences := make([]string, len(fields))
	for i, field := range fields {
		sentences[i] = field.Name + " " + field.Problem
	}
	return &Error{Kind: Invalid, Message: strings.Join(sentences, "; "), Fields: fields}
}

// WithCause sets the cause of e and returns e.
func (e *Error) WithCause(cause error) *Error {
	e.Err = cause
	return e
}

// Error returns the message and the cause. It is for the log, not for the client.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return e.Message + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Of returns the Error in err's chain. Without one it returns Unavailable when a deadline
// or a cancellation caused err, and Internal otherwise. Of(nil) is nil.
func Of(err error) *Error {
	if err == nil {
		return nil
	}
	var classified *Error
	if errors.As(err, &classified) {
		return classified
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return New(Unavailable, "the request could not be finished in time; try again").WithCause(err)
	}
	return New(Internal, "something went wrong on our side").WithCause(err)
}
