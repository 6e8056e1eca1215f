package retry_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/retry"
)

// plainLogger returns a logger without times.
func plainLogger(out *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

func TestOutageLogsItsFirstFailureAndItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		outage := retry.NewOutage(plainLogger(&out), "away", "back")
		for _, err := range []error{nil, nil, errors.New("first"), errors.New("second"), nil, nil, errors.New("third")} {
			outage.Record(t.Context(), err)
			<-time.After(time.Second)
		}
		want := `level=WARN msg=away error=first
level=INFO msg=back after=2s failed_attempts=2
level=WARN msg=away error=third
`
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOutageIsLoggedOnceForManyGoroutines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	outage := retry.NewOutage(plainLogger(&out), "away", "back")
	for _, err := range []error{errors.New("x"), nil} {
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { outage.Record(t.Context(), err) })
		}
		all.Wait()
	}
	if strings.Count(out.String(), "msg=away") != 1 || strings.Count(out.String(), "msg=back") != 1 {
		t.Errorf("want one line of each:\n%s", out.String())
	}
}

func TestOutageEndsOnlyAfterItHasSettled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		outage := retry.NewOutage(plainLogger(&out), "away", "back")
		outage.Settle = time.Second
		for _, err := range []error{errors.New("first"), nil, errors.New("second"), nil, nil, nil} {
			outage.Record(t.Context(), err)
			<-time.After(500 * time.Millisecond)
		}
		want := `level=WARN msg=away error=first
level=INFO msg=back after=2s failed_attempts=2
`
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Error(diff)
		}
	})
}
