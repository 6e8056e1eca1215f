package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// fatal ends a poll at once.
type fatal struct{ error }

// poll asks until there is no error, ctx ends, or the error is fatal.
func poll(ctx context.Context, ask func() error) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ask()
		if err == nil || errors.As(err, &fatal{}) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; at last: %w", ctx.Err(), err)
		case <-ticker.C:
		}
	}
}

// eventually fails the test if ask still errs after the time given.
func eventually(t *testing.T, within time.Duration, ask func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := poll(ctx, ask); err != nil {
		t.Fatal(err)
	}
}
