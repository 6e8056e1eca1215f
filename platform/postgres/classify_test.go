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

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/postgres"
)

func TestClassifyReturnsUnavailableForTransientErrors(t *testing.T) {
	t.Parallel()
	code := func(code string) error { return &pq.Error{Code: pqerror.Code(code)} }
	transient := []error{
		driver.ErrBadConn, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF, context.DeadlineExceeded, context.Canceled,
		&net.OpError{Op: "dial", Err: errors.New("refused")}, &net.DNSError{Name: "db"},
		&pq.Error{Code: "0A000", Routine: "RevalidateCachedQuery"},
	}
	for _, one := range []string{
		"08000", "08001", "08003", "08004", "08006", "08P01",
		"25000", "25006", "25P02", "25P03", "25P04", "26000", "34000", "42P05",
		"40000", "40001", "40003", "40P01", "53000", "53100", "53200", "53300", "53400",
		"55000", "55006", "55P03", "57000", "57014", "57P01", "57P02", "57P03", "57P04", "57P05", "58000", "58030", "72000",
	} {
		transient = append(transient, code(one))
	}
	for _, err := range transient {
		wrapped := fmt.Errorf("query: %w", err)
		got := postgres.Classify(wrapped)
		if f := apperr.Of(got); f.Kind != apperr.Unavailable || !errors.Is(got, err) {
			t.Errorf("%v: got %v", err, got)
		}
	}
	own := apperr.New(apperr.NotFound, "no such thing").WithCause(io.EOF)
	for _, err := range []error{
		nil, sql.ErrNoRows, errors.New("x"), own,
		code(""), code("0A000"), code("22P02"), code("23505"), code("23514"), code("28P01"), code("3D000"), code("42501"), code("42P01"), code("54000"), code("P0001"), code("XX000"), code("XX001"),
	} {
		if got := postgres.Classify(err); !errors.Is(got, err) || apperr.Of(got) != nil && apperr.Of(got).Kind == apperr.Unavailable {
			t.Errorf("%v became %v", err, got)
		}
	}
}

func TestIsContendedAfterARollbackBecauseOfAnotherTransaction(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{"40000": true, "40001": true, "40002": true, "40P01": true, "40003": false, "55P03": false, "": false} {
		err := fmt.Errorf("query: %w", &pq.Error{Code: pqerror.Code(code)})
		if got := postgres.IsContended(err); got != want {
			t.Errorf("%q: %v", code, got)
		}
	}
	if postgres.IsContended(nil) || postgres.IsContended(io.EOF) {
		t.Error("an error that is not from the server is contended")
	}
}
