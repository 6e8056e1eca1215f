package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/lib/pq"

	"example.com/todo/platform/apperr"
)

// Classify returns err as a fault.Unavailable, with err as its cause, when it will
// pass: a connection lost, refused or not admitted, a server that shuts down, takes no
// writes or has no room, a deadline; see meanings for the rest. Any other error comes
// back unchanged.
func Classify(err error) error {
	if err == nil || errors.As(err, new(*apperr.Error)) || !isTransient(err) {
		return err
	}
	return apperr.New(apperr.Unavailable, "the database is not available right now; try again").WithCause(err)
}

// classifyStartup is Fault for what is done before the service serves: a server that refuses
// the service then shows that the settings are wrong.
func classifyStartup(err error) error {
	var refused *connectError
	if errors.As(err, &refused) && !refused.transient {
		return err
	}
	return Classify(err)
}

// errReadOnly is of a server that takes no writes.
var errReadOnly = errors.New("the PostgreSQL server takes no writes: it is a standby, or default_transaction_read_only is on")

func isTransient(err error) bool {
	for _, passing := range []error{
		driver.ErrBadConn, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
		context.DeadlineExceeded, context.Canceled, errReadOnly,
	} {
		if errors.Is(err, passing) {
			return true
		}
	}
	if errors.As(err, new(*connectError)) || errors.As(err, new(*ambiguousError)) {
		return true
	}
	var answer *pq.Error
	if errors.As(err, &answer) {
		return classOf(answer).transient
	}
	var network net.Error
	return errors.As(err, &network)
}

// connectError is of a connection that was not made, so that no statement was sent: the
// request that needed it may succeed later, whatever the reason.
type connectError struct {
	err       error
	transient bool // by itself; a wrong password, say, does not
}

func newConnectError(err error) *connectError {
	if refused := asStartupParameterError(err); refused != err { //nolint:errorlint // whether it is the same one
		return &connectError{refused, false}
	}
	each := []error{err}
	if joined, ok := errors.Unwrap(err).(interface{ Unwrap() []error }); ok { // of several hosts
		each = joined.Unwrap()
	}
	for _, one := range each {
		if isTransient(one) || isTargetSessionRefusal(one) {
			return &connectError{err, true}
		}
	}
	return &connectError{err, false}
}

// isTargetSessionRefusal recognises refusals by target_session_attrs, for which lib/pq has no type.
func isTargetSessionRefusal(err error) bool {
	return strings.HasSuffix(err.Error(), "session is read-only") || strings.HasSuffix(err.Error(), "server is in hot standby mode")
}

func (e *connectError) Error() string { return e.err.Error() }
func (e *connectError) Unwrap() error { return e.err }

// errUnreplicated is of a commit that the server made while its synchronous standby was away.
var errUnreplicated = &ambiguousError{errors.New("the change is on the primary alone: its synchronous standby did not confirm it in time")}

// ambiguousError is of a statement with an unknown outcome: lib/pq could not read its answer,
// or the answer does not hold after a failover.
type ambiguousError struct{ err error }

func (e *ambiguousError) Error() string { return e.err.Error() }
func (e *ambiguousError) Unwrap() error { return e.err }

// notExecutedError has database/sql repeat a statement, which the server did not execute,
// on another connection.
type notExecutedError struct{ err error }

func (e *notExecutedError) Error() string   { return e.err.Error() }
func (e *notExecutedError) Unwrap() []error { return []error{driver.ErrBadConn, e.err} }
