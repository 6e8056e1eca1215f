package e2e

import (
	"context"
	"testing"
	"time"

	"example.com/todo/scripts/internal/poll"
)

// eventually fails the test if check does not succeed in time.
func eventually(t *testing.T, within time.Duration, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := poll.Until(ctx, check); err != nil {
		t.Fatal(err)
	}
}
