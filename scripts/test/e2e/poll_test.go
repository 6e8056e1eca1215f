package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// fatal is an error that ends a poll.
type fatal struct{ error }

// poll calls check until it succeeds, ctx ends, or the error is fatal.
func poll(ctx context.Context, check func() error) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil || errors.As(err, &fatal{}) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; the last error: %w", ctx.Err(), err)
		case <-ticker.C:
		}
	}
}

// eventually fails the test if check does not succeed in time.
func eventually(t *testing.T, within time.Duration, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := poll(ctx, check); err != nil {
		t.Fatal(err)
	}
}
