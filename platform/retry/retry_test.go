package retry_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"example.com/todo/platform/retry"
)

func TestWaitLastsForTheDurationOrUntilTheContextEnds(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		wait, endsAfter, took time.Duration
		want                  bool
	}{
		"until its end": {wait: time.Minute, endsAfter: time.Hour, took: time.Minute, want: true},
		"context ends":  {wait: time.Hour, endsAfter: time.Minute, took: time.Minute, want: false},
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

var errAway = errors.New("away")

func TestDoWaitsBetweenAttemptsUntilOneSucceeds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		outage := retry.NewOutage(slog.New(slog.DiscardHandler), "away", "back")
		var calls []time.Duration
		start := time.Now()
		err := retry.Do(t.Context(), retry.Backoff{Min: time.Second, Max: 4 * time.Second}, outage, func(context.Context) error {
			calls = append(calls, time.Since(start))
			if len(calls) < 8 {
				return errAway
			}
			return nil
		})
		if err != nil || len(calls) != 8 || outage.Attempts() != 0 {
			t.Fatalf("%v after %d calls; %d attempts are recorded", err, len(calls), outage.Attempts())
		}
		for i, want := range []time.Duration{1, 2, 4, 4, 4, 4, 4} {
			if delay := calls[i+1] - calls[i]; delay < want*time.Second/2 || delay > want*time.Second*3/2 {
				t.Errorf("delay %d is %v, want half of %d s to one and a half", i, delay, want)
			}
		}
	})
}

func TestDoReturnsAPermanentErrorAtOnceAndUnwrapped(t *testing.T) {
	t.Parallel()
	outage := retry.NewOutage(slog.New(slog.DiscardHandler), "away", "back")
	calls := 0
	err := retry.Do(t.Context(), retry.Backoff{Min: time.Hour, Max: time.Hour}, outage, func(context.Context) error {
		calls++
		return retry.Permanent(errAway)
	})
	if err != errAway || calls != 1 || outage.Attempts() != 0 { //nolint:errorlint // the wrapper must be gone
		t.Errorf("%#v after %d calls; %d attempts are recorded", err, calls, outage.Attempts())
	}
}

func TestDoReturnsTheCauseWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("stopped")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(90*time.Minute, func() { cancel(cause) })
		outage := retry.NewOutage(slog.New(slog.DiscardHandler), "away", "back")
		start := time.Now()
		err := retry.Do(ctx, retry.Backoff{Min: 24 * time.Hour, Max: 24 * time.Hour}, outage, func(context.Context) error { return errAway })
		if !errors.Is(err, cause) || time.Since(start) != 90*time.Minute || outage.Attempts() != 1 {
			t.Errorf("%v after %v and %d attempts", err, time.Since(start), outage.Attempts())
		}
		// A failure after the end of the context says nothing about the dependency.
		if err := retry.Do(ctx, retry.Backoff{}, outage, func(context.Context) error { return errAway }); !errors.Is(err, cause) || outage.Attempts() != 1 {
			t.Errorf("%v and %d attempts", err, outage.Attempts())
		}
	})
}
