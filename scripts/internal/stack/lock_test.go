package stack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestLockRefusesASecondStackInTheFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), ".dev")
	release, err := acquireLock(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = acquireLock(t.Context(), dir)
	if !errors.Is(err, errRunning) || !strings.Contains(err.Error(), fmt.Sprintf("pid %d", os.Getpid())) {
		t.Errorf("the second: %v, want errRunning with the pid", err)
	}
	if err := Reset(dir); !errors.Is(err, errRunning) {
		t.Errorf("Reset meanwhile: %v, want errRunning", err)
	}
	if _, err := Status(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "not ready yet") {
		t.Errorf("Status before it is ready: %v", err)
	}
	release()
	release, err = acquireLock(t.Context(), dir)
	if err != nil {
		t.Fatalf("after the first released it: %v", err)
	}
	release()
	if _, err := Status(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "no stack runs in "+dir) {
		t.Errorf("Status when nothing runs: %v", err)
	}
}

func TestLockIsAcquiredWhileCommandsAskForTheState(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var asking sync.WaitGroup
	asking.Go(func() {
		for t.Context().Err() == nil {
			_ = notRunning(t.Context(), dir) // holds the lock for a moment
		}
	})
	t.Cleanup(asking.Wait) // the context has ended before
	for range 200 {
		release, err := acquireLock(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		release()
	}
}

func TestResetRemovesDataAndKeepsPrograms(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"embedded/postgres/data", "embedded/redis", "apache/postgres/data", "apache/kafka", "embedded-secure/secrets", "apache-secure/tls", "log", "bin"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := Reset(dir); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if got := strings.Join(left, " "); got != "bin lock" {
		t.Errorf("left: %s; want bin lock", got)
	}
	if err := Reset(filepath.Join(dir, "never", "was")); err != nil {
		t.Errorf("of a folder that is not there: %v", err)
	}
}
