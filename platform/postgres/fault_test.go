package postgres_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"example.com/todo/platform/fault"
	"example.com/todo/platform/postgres"
)

func TestFaultTellsWhatWillPass(t *testing.T) {
	t.Parallel()
	code := func(code string) error { return &pq.Error{Code: pqerror.Code(code)} }
	passing := []error{
		driver.ErrBadConn, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF, context.DeadlineExceeded, context.Canceled,
		&net.OpError{Op: "dial", Err: errors.New("refused")}, &net.DNSError{Name: "db"},
		code("08006"), code("53300"), code("57P01"), code("57P03"), code("57014"), code("25P03"),
	}
	for _, err := range passing {
		wrapped := fmt.Errorf("query: %w", err)
		got := postgres.Fault(wrapped)
		if f := fault.Of(got); f.Kind != fault.Unavailable || !errors.Is(got, err) {
			t.Errorf("%v: got %v", err, got)
		}
	}
	own := fault.New(fault.NotFound, "no such thing").Because(io.EOF)
	for _, err := range []error{nil, sql.ErrNoRows, errors.New("x"), code("23505"), code("42P01"), code("40001"), own} {
		if got := postgres.Fault(err); !errors.Is(got, err) || fault.Of(got) != nil && fault.Of(got).Kind == fault.Unavailable {
			t.Errorf("%v became %v", err, got)
		}
	}
}
