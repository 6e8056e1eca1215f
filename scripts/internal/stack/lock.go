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

// Lock is held by whoever uses a stack's folder. It ends with its process, however that ends.
type Lock struct{ file *os.File }

// ErrRunning says that a stack runs in a folder already.
var ErrRunning = errors.New("a stack already runs")

// TakeLock takes the lock of a folder, which it makes. ErrRunning when another process holds it.
func TakeLock(dir string) (*Lock, error) {
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
			return nil, fmt.Errorf("%w in %s%s: Ctrl-C in its terminal ends it", ErrRunning, dir, holder(dir))
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	l := &Lock{file}
	if err := l.sign(); err != nil {
		l.Release()
		return nil, err
	}
	return l, nil
}

func (l *Lock) sign() error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// Release gives the lock back.
func (l *Lock) Release() {
	// Closing alone would leave it to a child that was forked a moment ago and has not begun its program.
	_ = syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN) // closing unlocks too
	_ = l.file.Close()
}

func holder(dir string) string {
	pid, err := os.ReadFile(lockPath(dir))
	if err != nil || len(pid) == 0 {
		return ""
	}
	return " (pid " + strings.TrimSpace(string(pid)) + ")"
}

func lockPath(dir string) string { return filepath.Join(dir, "lock") }
