package retry_test

import (
	"bytes"
	"context"
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

func TestWaitLastsAsLongAsAskedOrUntilTheContextEnds(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		wait, endsAfter, took time.Duration
		want                  bool
	}{
		"undisturbed":   {wait: time.Minute, endsAfter: time.Hour, took: time.Minute, want: true},
		"told to stop":  {wait: time.Hour, endsAfter: time.Minute, took: time.Minute, want: false},
		"already ended": {wait: 0, endsAfter: 0, took: 0, want: false},
		"no pause":      {wait: 0, endsAfter: time.Minute, took: 0, want: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), test.endsAfter)
				defer cancel()
				start := time.Now()
				got := retry.Wait(ctx, test.wait)
				if took := time.Since(start); got != test.want || took != test.took {
					t.Errorf("got %v after %v, want %v after %v", got, took, test.want, test.took)
				}
			})
		})
	}
}

// plain logs without times, which are not what is tested.
func plain(out *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

func TestAnOutageIsToldWhenItBeginsAndWhenItEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		outage := retry.NewOutage(plain(&out), "away", "back")
		for _, err := range []error{nil, nil, errors.New("first"), errors.New("second"), nil, nil, errors.New("third")} {
			outage.Note(t.Context(), err)
			<-time.After(time.Second)
		}
		want := `level=WARN msg=away error=first
level=INFO msg=back after=2s
level=WARN msg=away error=third
`
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAnOutageThatManyMeetIsToldOnce(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	outage := retry.NewOutage(plain(&out), "away", "back")
	for _, err := range []error{errors.New("x"), nil} {
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { outage.Note(t.Context(), err) })
		}
		all.Wait()
	}
	if strings.Count(out.String(), "msg=away") != 1 || strings.Count(out.String(), "msg=back") != 1 {
		t.Errorf("want one line of each:\n%s", out.String())
	}
}
