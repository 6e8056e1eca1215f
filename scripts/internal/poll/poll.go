// Package poll repeats a check until it succeeds. Tests wait for conditions with it.
package poll

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/todo/platform/retry"
)

// interval is the pause between two checks.
const interval = 20 * time.Millisecond

type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Permanent marks an error of a check after which no other check can succeed.
func Permanent(err error) error { return permanent{err} }

// Until calls check until it succeeds, its error is permanent, or ctx ends. It returns the last error of check; after the
// end of ctx also that of ctx.
func Until(ctx context.Context, check func() error) error {
	for {
		err := check()
		if err == nil || errors.As(err, &permanent{}) {
			return err
		}
		if !retry.Wait(ctx, interval) {
			return fmt.Errorf("%w; the last error: %w", ctx.Err(), err)
		}
	}
}
