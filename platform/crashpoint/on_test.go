//go:build crashpoints

package crashpoint_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"example.com/todo/platform/crashpoint"
)

// TestMain lets the test start itself again as the process that dies.
func TestMain(m *testing.M) {
	switch os.Getenv("DIE_BY") {
	case "reach":
		crashpoint.Reach(crashpoint.AfterSend, "another place")
		for _, inHand := range []string{"first", "second", "third"} {
			crashpoint.Reach(crashpoint.AfterEffect, inHand)
		}
		os.Exit(0)
	case "poison":
		crashpoint.Poison([]byte(`{"task_title":"` + crashpoint.Kills + `"}`))
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

func TestTheProcessDiesAtTheWantedPlaceAndTime(t *testing.T) {
	t.Parallel()
	journal := filepath.Join(t.TempDir(), "journal")
	if !killed(t, "DIE_BY=reach", "CRASHPOINT=after_effect_before_mark:2", "CRASHPOINT_LOG="+journal) {
		t.Error("not killed")
	}
	content, err := os.ReadFile(journal)
	if got, want := string(content), "after_effect_before_mark second\n"; err != nil || got != want {
		t.Errorf("journal %q, %v; want %q", got, err, want)
	}
	if killed(t, "DIE_BY=reach", "CRASHPOINT=after_effect_before_mark:4") {
		t.Error("killed although the place was reached three times only")
	}
}

func TestPoisonKillsOrPanics(t *testing.T) {
	t.Parallel()
	if !killed(t, "DIE_BY=poison") {
		t.Error("the killing record did not kill")
	}
	defer func() {
		if value, _ := recover().(string); !strings.Contains(value, "panics") {
			t.Errorf("recovered %q", value)
		}
	}()
	crashpoint.Poison([]byte(crashpoint.Panics))
	t.Error("no panic")
}
