package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"example.com/todo/scripts/internal/filelock"
)

// errRunning means that another process holds the folder's lock.
var errRunning = errors.New("a stack already runs")

// lockWait is how long a start waits for the lock. A command that asks for the state of the stack holds it for a
// moment, too.
const lockWait = 300 * time.Millisecond

// acquireLock locks a stack's folder and creates it if needed. The system releases the lock when the process ends.
// errRunning: another process holds it.
func acquireLock(ctx context.Context, dir string) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	path := filepath.Join(dir, "lock")
	file, release, err := filelock.Lock(ctx, path)
	if errors.Is(err, context.DeadlineExceeded) {
		holder, _ := os.ReadFile(path) // without it the message says less
		pid := strings.TrimSpace(string(holder))
		return nil, fmt.Errorf("%w in %s (pid %s): Ctrl-C in its terminal ends it", errRunning, dir, pid)
	}
	if err != nil {
		return nil, err
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
