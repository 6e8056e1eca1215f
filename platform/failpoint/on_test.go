//go:build failpoints

package failpoint_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"example.com/todo/platform/failpoint"
)

// TestMain also runs as the process that a test kills.
func TestMain(m *testing.M) {
	switch os.Getenv("DIE_BY") {
	case "hit":
		failpoint.Hit(failpoint.AfterSend, "another failpoint")
		for _, inFlight := range []string{"first", "second", "third"} {
			failpoint.Hit(failpoint.AfterEffect, inFlight)
		}
		os.Exit(0)
	case "poison":
		failpoint.HitPoison([]byte(`{"task_title":"` + failpoint.Kills + `"}`))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func killed(t *testing.T, env ...string) bool {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), env...)
	err := cmd.Run()
	var exit *exec.ExitError
	if err == nil {
		return false
	}
	if !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
}

func TestHitKillsTheProcessAtTheNthCall(t *testing.T) {
	t.Parallel()
	journal := filepath.Join(t.TempDir(), "journal")
	if !killed(t, "DIE_BY=hit", "FAILPOINT=after_effect_before_mark:2", "FAILPOINT_LOG="+journal) {
		t.Error("not killed")
	}
	content, err := os.ReadFile(journal)
	if got, want := string(content), "after_effect_before_mark second\n"; err != nil || got != want {
		t.Errorf("journal %q, %v; want %q", got, err, want)
	}
	if killed(t, "DIE_BY=hit", "FAILPOINT=after_effect_before_mark:4") {
		t.Error("killed at the third call, want the fourth")
	}
}

func TestHitPoisonKillsOrPanics(t *testing.T) {
	t.Parallel()
	if !killed(t, "DIE_BY=poison") {
		t.Error("the killing record did not kill")
	}
	defer func() {
		if value, _ := recover().(string); !strings.Contains(value, "panics") {
			t.Errorf("recovered %q", value)
		}
	}()
	failpoint.HitPoison([]byte(failpoint.Panics))
	t.Error("no panic")
}
