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

	"example.com/todo/platform/fault"
)

// Fault returns err as a fault.Unavailable, with err as its cause, when it will
// pass: a connection lost or refused, too many of them, a server that shuts
// down, a deadline. Any other error comes back unchanged.
func Fault(err error) error {
	if err == nil || errors.As(err, new(*fault.Error)) || !passes(err) {
		return err
	}
	return fault.New(fault.Unavailable, "the database is not available right now; try again").Because(err)
}

func passes(err error) bool {
	for _, passing := range []error{
		driver.ErrBadConn, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
		context.DeadlineExceeded, context.Canceled,
	} {
		if errors.Is(err, passing) {
			return true
		}
	}
	var answer *pq.Error
	if errors.As(err, &answer) {
		return codePasses(string(answer.Code))
	}
	var network net.Error
	return errors.As(err, &network)
}

func codePasses(code string) bool {
	for _, prefix := range []string{
		"08",    // connection exception
		"53",    // insufficient resources: too many connections, disk or memory full
		"57P0",  // shut down, crashed, starting up, idle too long
		"57014", // canceled: what a context's end becomes on the server
		"25P03", // idle in a transaction too long
	} {
		if strings.HasPrefix(code, prefix) {
			return true
		}
	}
	return false
}
