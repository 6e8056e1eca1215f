package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
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

// classifyStartup is Classify for the time before the service serves. There, errRejected is a mistake in the
// settings and is returned unchanged.
func classifyStartup(err error) error {
	if errors.Is(err, errRejected) {
		return err
	}
	return Classify(err)
}

var (
	// errUnreachable and errRejected are causes of a failed connection attempt. A request gets Unavailable for both,
	// since no statement was sent.
	errUnreachable = errors.New("no connection to PostgreSQL")
	errRejected    = errors.New("no connection to PostgreSQL is possible") // only a change of the settings can end it, such as sslmode

	// errAmbiguous is the cause of an error of a statement with an unknown outcome: lib/pq could not read the
	// response, or a failover could lose the commit.
	errAmbiguous    = errors.New("the outcome is unknown")
	errUnreplicated = fmt.Errorf("%w: the synchronous standby did not confirm the commit in time: the change is on the primary only", errAmbiguous)

	// errReadOnly is the error of CheckWritable.
	errReadOnly = errors.New("the PostgreSQL server is read-only: it is a standby, or default_transaction_read_only is on")
)

func isTransient(err error) bool {
	for _, transient := range []error{
		driver.ErrBadConn, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
		context.DeadlineExceeded, context.Canceled, errUnreachable, errRejected, errAmbiguous, errReadOnly,
	} {
		if errors.Is(err, transient) {
			return true
		}
	}
	var response *pq.Error
	if errors.As(err, &response) {
		return classOf(response).transient
	}
	return errors.As(err, new(net.Error))
}

// classifyConnect returns err, the error of a connection attempt, with its cause and with what to try. setting
// names the DSN.
func classifyConnect(err error, setting string) error {
	// PgBouncer rejects a startup parameter with a transient code of class 08.
	var response *pq.Error
	if errors.As(err, &response) && strings.HasPrefix(response.Message, "unsupported startup parameter") {
		return fmt.Errorf("%w: %w (%s)", errRejected, errStartupParameters, response.Message)
	}
	each := []error{err}
	if joined, ok := errors.Unwrap(err).(interface{ Unwrap() []error }); ok { // one for each host
		each = joined.Unwrap()
	}
	mayRecover := func(one error) bool {
		text := one.Error() // lib/pq has no type for the errors of target_session_attrs
		return isTransient(one) || isDenied(one) || strings.HasSuffix(text, "session is read-only") ||
			strings.HasSuffix(text, "server is in hot standby mode")
	}
	if slices.ContainsFunc(each, mayRecover) {
		return fmt.Errorf("%w: %w: %s", errUnreachable, err, suggestConnect(err, setting))
	}
	if isUntrusted(err) {
		return fmt.Errorf("%w: %w: correct sslrootcert or the host in %s, or replace the server's certificate", errRejected, err, setting)
	}
	return fmt.Errorf("%w: %w: correct %s", errRejected, err, setting)
}

// isUntrusted reports whether the server's certificate cannot be verified. For sslmode=verify-ca lib/pq verifies it
// itself, and its error has no *tls.CertificateVerificationError.
func isUntrusted(err error) bool {
	return errors.As(err, new(*tls.CertificateVerificationError)) ||
		errors.As(err, new(x509.UnknownAuthorityError)) || errors.As(err, new(x509.CertificateInvalidError))
}

// isDenied reports whether the server refused the user, the password or the database. An operator may create them
// or change them back while the service waits.
func isDenied(err error) bool {
	var response *pq.Error
	return errors.As(err, &response) &&
		(strings.HasPrefix(string(response.Code), "28") || response.Code == noDatabaseCode || response.Code == noPrivilegeCode)
}

const (
	noDatabaseCode  = "3D000"
	noPrivilegeCode = "42501" // to connect to the database
)

// suggestConnect returns what an operator can try after a failed connection attempt.
func suggestConnect(err error, setting string) string {
	var response *pq.Error
	switch {
	case strings.Contains(err.Error(), "remote error: tls: "): // an alert, for which crypto/tls exports no type
		return "does it demand a client certificate? Then correct sslcert and sslkey in " + setting
	case !errors.As(err, &response):
		return "is it running, and does " + setting + " name it?"
	case response.Code == noDatabaseCode:
		return "create the database, or correct " + setting
	case isDenied(err):
		return "correct user and password in " + setting + ", or the rights of this user in the server"
	}
	return "see the server's log; its address is from " + setting
}
