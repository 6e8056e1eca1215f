package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/lib/pq"

	"example.com/todo/platform/apperr"
)

// Classify returns a transient err as an apperr.Unavailable with err as its cause: a connection that was
// lost or refused, a server that shuts down, is read-only or out of resources, a deadline, and what
// errorClasses says. Any other error is returned unchanged.
func Classify(err error) error {
	if err == nil || errors.As(err, new(*apperr.Error)) || !isTransient(err) {
		return err
	}
	return apperr.New(apperr.Unavailable, "the database is not available right now; try again").WithCause(err)
}

// classifyStartup is Classify for the time before the service serves. There, a permanent connectError is a
// mistake in the settings and is returned unchanged.
func classifyStartup(err error) error {
	var refused *connectError
	if errors.As(err, &refused) && !refused.mayRecover {
		return err
	}
	return Classify(err)
}

// errReadOnly is the error of CheckWritable.
var errReadOnly = errors.New("the PostgreSQL server is read-only: it is a standby, or default_transaction_read_only is on")

func isTransient(err error) bool {
	for _, transient := range []error{
		driver.ErrBadConn, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
		context.DeadlineExceeded, context.Canceled, errReadOnly,
	} {
		if errors.Is(err, transient) {
			return true
		}
	}
	if errors.As(err, new(*connectError)) || errors.As(err, new(*ambiguousError)) {
		return true
	}
	var response *pq.Error
	if errors.As(err, &response) {
		return classOf(response).transient
	}
	var network net.Error
	return errors.As(err, &network)
}

// connectError is the error of a failed connection attempt. A request always gets Unavailable for it, since
// no statement was sent. Only the start of a process asks whether the error may recover.
type connectError struct {
	err        error
	mayRecover bool // false for an error that only a change of the settings can end, such as a wrong password
}

func newConnectError(err error) *connectError {
	if refused := asStartupParameterError(err); refused != err { //nolint:errorlint // whether it is the same one
		return &connectError{refused, false}
	}
	each := []error{err}
	if joined, ok := errors.Unwrap(err).(interface{ Unwrap() []error }); ok { // one for each host
		each = joined.Unwrap()
	}
	return &connectError{err, slices.ContainsFunc(each, func(one error) bool {
		return isTransient(one) || isTargetSessionRefusal(one)
	})}
}

// isTargetSessionRefusal reports whether err is due to target_session_attrs. lib/pq has no type for it.
func isTargetSessionRefusal(err error) bool {
	return strings.HasSuffix(err.Error(), "session is read-only") || strings.HasSuffix(err.Error(), "server is in hot standby mode")
}

func (e *connectError) Error() string { return e.err.Error() }
func (e *connectError) Unwrap() error { return e.err }

// errUnreplicated is the error of a commit that a failover could lose.
var errUnreplicated = &ambiguousError{errors.New("the synchronous standby did not confirm the commit in time: the change is on the primary only")}

// ambiguousError is the error of a statement with an unknown outcome: lib/pq could not read the response,
// or a failover could lose the commit.
type ambiguousError struct{ err error }

func (e *ambiguousError) Error() string { return e.err.Error() }
func (e *ambiguousError) Unwrap() error { return e.err }

// notExecutedError makes database/sql repeat a statement on another connection, by driver.ErrBadConn.
type notExecutedError struct{ err error }

func (e *notExecutedError) Error() string   { return e.err.Error() }
func (e *notExecutedError) Unwrap() []error { return []error{driver.ErrBadConn, e.err} }
