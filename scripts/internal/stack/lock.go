package stack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// lock is a file lock on a stack's folder. The system releases it when the process ends.
type lock struct{ file *os.File }

// errRunning means that another process holds the folder's lock.
var errRunning = errors.New("a stack already runs")

// acquireLock locks a folder and creates it if needed. errRunning: another process holds the lock.
func acquireLock(dir string) (*lock, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(lockPath(dir), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w in %s%s: Ctrl-C in its terminal ends it", errRunning, dir, holderOf(dir))
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	l := &lock{file}
	if err := l.writePID(); err != nil {
		l.Release()
		return nil, err
	}
	return l, nil
}

func (l *lock) writePID() error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// Release releases the lock.
func (l *lock) Release() {
	// A child between fork and exec shares the open file: closing it here would not unlock.
	_ = syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN) // if it fails, closing unlocks
	_ = l.file.Close()
}

func holderOf(dir string) string {
	pid, err := os.ReadFile(lockPath(dir))
	if err != nil || len(pid) == 0 {
		return ""
	}
	return " (pid " + strings.TrimSpace(string(pid)) + ")"
}

func lockPath(dir string) string { return filepath.Join(dir, "lock") }
