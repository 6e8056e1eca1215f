package cluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"example.com/todo/scripts/internal/proc"
	"example.com/todo/scripts/internal/supervisor"
)

// startNode runs a shell script, which is ready at once, as a node until the test ends.
func startNode(t *testing.T, script string) (*Node, <-chan Exit) {
	t.Helper()
	exits := make(chan Exit, 10)
	n := newNode(supervisor.Part{
		Name:  "script",
		Ready: func(context.Context) error { return nil },
		Command: func() (proc.Command, error) {
			return proc.Command{Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"PATH=" + os.Getenv("PATH")}}, nil
		},
	}, t.TempDir(), proc.NewLauncher(), func(e Exit) { exits <- e })
	t.Cleanup(func() { _ = n.Close(context.Background()) })
	return n, exits
}

func TestNodeExecutesTheProgramOfItsVersionFromTheNextStartOn(t *testing.T) {
	t.Parallel()
	shell, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	n, _ := startNode(t, "while true; do sleep 1000; done")
	for _, version := range []string{"released", "working"} {
		program := filepath.Join(t.TempDir(), version, "sh")
		if err := errors.Join(os.Mkdir(filepath.Dir(program), 0o755), os.WriteFile(program, shell, 0o755)); err != nil {
			t.Fatal(err)
		}
		n.setProgram(program)
		if err := n.StartAndWait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, err := n.Version(); err != nil || got != version {
			t.Errorf("the process executes version %q, %v; want %q", got, err, version)
		}
		if err := n.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := n.Version(); err == nil {
		t.Errorf("without a process the version is %q", got)
	}
}

func TestNodeReportsAnUnrequestedExit(t *testing.T) {
	t.Parallel()
	n, exits := startNode(t, "exit 3")
	n.Start()
	if exit := <-exits; exit.Requested || exit.Killed || exit.Status != "exit status 3" {
		t.Errorf("%+v", exit)
	}
}

func TestNodeArmsFailpointsAndReportsTheirCrashes(t *testing.T) {
	t.Parallel()
	n, exits := startNode(t, `[ -z "$FAILPOINT" ] && sleep 1000; echo "${FAILPOINT%:*} in flight" >>"$FAILPOINT_LOG"; kill -9 $$`)
	left := []string{"here:1", "there:2"}
	n.ArmFailpoints(func() string {
		if len(left) == 0 {
			return ""
		}
		next := left[0]
		left = left[1:]
		return next
	})
	n.Start()
	for _, failpoint := range []string{"here", "there"} {
		if exit := <-exits; exit.Requested || !exit.Killed || exit.Failpoint != failpoint || exit.InFlight != "in flight" {
			t.Errorf("%s: %+v", failpoint, exit)
		}
	}
	if err := n.StartAndWait(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.Kill()
	if exit := <-exits; !exit.Requested || !exit.Killed || exit.Failpoint != "" {
		t.Errorf("want a requested kill, and no old crash: %+v", exit)
	}
}
