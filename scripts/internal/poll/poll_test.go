package poll_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"example.com/todo/scripts/internal/poll"
)

func TestUntilEndsWithSuccessAPermanentErrorOrItsContext(t *testing.T) {
	absent := errors.New("not there yet")
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		results []error // of the checks; the last one is repeated
		checks  int
		want    []error // that the error is; none for success
	}{
		"the first check succeeds": {[]error{nil}, 1, nil},
		"a later check succeeds":   {[]error{absent, absent, nil}, 3, nil},
		"an error is permanent":    {[]error{absent, poll.Permanent(broken)}, 2, []error{broken}},
		"the context ends":         {[]error{absent}, 50, []error{context.DeadlineExceeded, absent}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 990*time.Millisecond)
				defer cancel()
				checks := 0
				err := poll.Until(ctx, func() error {
					checks++
					return c.results[min(checks, len(c.results))-1]
				})
				if checks != c.checks || (err == nil) != (c.want == nil) {
					t.Errorf("%d checks, error %v", checks, err)
				}
				for _, want := range c.want {
					if !errors.Is(err, want) {
						t.Errorf("error %v, want %v", err, want)
					}
				}
			})
		})
	}
}
