package stack

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// errRunning means that another process holds the folder's lock.
var errRunning = errors.New("a stack already runs")

const (
	lockAttempts = 40
	lockPause    = 5 * time.Millisecond
)

// acquireLock locks a stack's folder and creates it if needed. The system releases the lock, a file lock, when the
// process ends. errRunning: another process holds it.
func acquireLock(dir string) (release func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	// A command that asks for the state of the stack holds the lock for a moment, too.
	pause := time.NewTicker(lockPause)
	defer pause.Stop()
	for range lockAttempts {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			break
		}
		<-pause.C
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		defer file.Close()
		holder, _ := io.ReadAll(file) // without it the message says less
		pid := strings.TrimSpace(string(holder))
		return nil, fmt.Errorf("%w in %s (pid %s): Ctrl-C in its terminal ends it", errRunning, dir, pid)
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, errors.Join(err, file.Close()))
	}
	release = func() {
		// A child between fork and exec shares the open file: closing it here would not unlock.
		_ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN) // if it fails, closing unlocks
		_ = file.Close()
	}
	if err = file.Truncate(0); err == nil {
		_, err = fmt.Fprintln(file, os.Getpid())
	}
	if err != nil {
		release()
		return nil, err
	}
	return release, nil
}
