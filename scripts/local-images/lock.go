package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"example.com/todo/platform/retry"
)

// lockPollInterval is how often a waiting process tries to lock.
const lockPollInterval = 200 * time.Millisecond

// lock locks a file, which it creates if needed. It waits until no other process, and no other caller, holds the lock
// or ctx ends.
func lock(ctx context.Context, path string) (release func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			break
		}
		if !retry.Wait(ctx, lockPollInterval) {
			return nil, errors.Join(context.Cause(ctx), file.Close())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, errors.Join(err, file.Close()))
	}
	return func() {
		// A child between fork and exec shares the open file: closing it here would not unlock.
		_ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN) // if it fails, closing unlocks
		_ = file.Close()
	}, nil
}
