package retry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
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

// Each error comes once a second for as long as it says.
func TestOutageLogsAnotherKindOfFailureWithinAMinute(t *testing.T) {
	t.Parallel()
	type phase struct {
		lasts time.Duration
		err   func(attempt int) error
	}
	refused := func(attempt int) error {
		return fmt.Errorf("attempt %d: %w", attempt, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})
	}
	timeout := func(int) error { return context.DeadlineExceeded }
	denied := func(attempt int) error {
		return fmt.Errorf("127.0.0.1:%d: WRONGPASS (request %032x): correct redis.password", 40000+attempt, attempt)
	}
	older := func(int) error { return errors.New("lacks the migration 00004_history.sql") }
	const away = "level=WARN msg=away error="
	for name, test := range map[string]struct {
		phases []phase
		want   []string // the prefix of each warning
	}{
		"the server is up again, and rejects the password": {[]phase{{time.Second, refused}, {10 * time.Minute, denied}}, []string{away + `"attempt 0: dial`, away + `"127.0.0.1:40060: WRONGPASS`}},
		"a schema after a password":                        {[]phase{{5 * time.Minute, denied}, {5 * time.Minute, older}}, []string{away + `"127.0.0.1:40000: WRONGPASS`, away + `"lacks the migration`}},
		"one reason with other ports and ids":              {[]phase{{10 * time.Minute, denied}}, []string{away + `"127.0.0.1:40000: WRONGPASS`}},
		"two failures of the network":                      {[]phase{{2 * time.Minute, refused}, {2 * time.Minute, timeout}}, []string{away + `"attempt 0: dial`}},
		"a reason that has gone within the minute":         {[]phase{{time.Second, refused}, {time.Second, denied}, {5 * time.Minute, timeout}}, []string{away + `"attempt 0: dial`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				outage := retry.NewOutage(plainLogger(&out), "away", "back")
				attempt := 0
				for _, p := range test.phases {
					for end := time.Now().Add(p.lasts); time.Now().Before(end); attempt++ {
						outage.Record(t.Context(), p.err(attempt))
						<-time.After(time.Second)
					}
				}
				lines := slices.Collect(strings.Lines(out.String()))
				if !slices.EqualFunc(lines, test.want, strings.HasPrefix) {
					t.Errorf("want lines that begin with %q:\n%s", test.want, out.String())
				}
			})
		})
	}
}

func TestOutageLogsAtMostOncePerMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		outage := retry.NewOutage(plainLogger(&out), "away", "back")
		for i := range 600 {
			outage.Record(t.Context(), errors.New([]string{"first", "second", "third", "fourth", "fifth", "sixth", "seventh"}[i%7]))
			<-time.After(time.Second)
		}
		if got := strings.Count(out.String(), "msg=away"); got != 10 {
			t.Errorf("%d lines in ten minutes, want 10:\n%s", got, out.String())
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
