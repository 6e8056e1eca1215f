// Package filelock implements a lock between processes. The system releases it when its process ends.
package filelock

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

// pollInterval is how often a waiting process tries to lock.
const pollInterval = 10 * time.Millisecond

// Lock locks the file at path, which it creates if needed, with its folder. It waits until no other process, and no other
// caller, holds the lock; when ctx ends before, it returns the cause. The file is open for reading and writing until
// release.
func Lock(ctx context.Context, path string) (file *os.File, release func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, nil, err
	}
	file, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, nil, err
	}
	for {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			break
		}
		if !retry.Wait(ctx, pollInterval) {
			return nil, nil, errors.Join(context.Cause(ctx), file.Close())
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("lock %s: %w", path, errors.Join(err, file.Close()))
	}
	return file, func() {
		// A child between fork and exec shares the open file: closing it here would not unlock.
		_ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN) // if it fails, closing unlocks
		_ = file.Close()
	}, nil
}
