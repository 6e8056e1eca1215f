package filelock

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"
)

func TestLockWaitsForTheOtherHolder(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cache", "lock")
	_, release, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	late, cancel := context.WithTimeout(t.Context(), 2*pollInterval)
	defer cancel()
	if _, _, err := Lock(late, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while the lock is held: %v", err)
	}
	time.AfterFunc(pollInterval, release)
	_, again, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	again()
}
