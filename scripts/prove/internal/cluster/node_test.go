package cluster

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"example.com/todo/platform/testenv"
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

func startAndWait(t *testing.T, n *Node) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := n.StartAndWait(ctx); err != nil {
		t.Fatal(err)
	}
	return n.PID()
}

// processState returns the state of a process as in /proc: "S" sleeping, "T" stopped, "Z" zombie; or
// "gone".
func processState(pid int) string {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "gone"
	}
	_, rest, _ := strings.Cut(string(content), ") ")
	return rest[:1]
}

func TestNodeRestartsAKilledProcessAndKillsItsChildren(t *testing.T) {
	t.Parallel()
	n, exits := startNode(t, "sleep 1000 & wait")
	first := startAndWait(t, n)
	var children []int
	testenv.Eventually(t, "a child", func() bool { children = proc.Descendants(first); return len(children) == 1 })
	n.Kill()
	if exit := <-exits; !exit.Requested || !exit.Killed || exit.Failpoint != "" {
		t.Errorf("%+v", exit)
	}
	testenv.Eventually(t, "the child's end", func() bool { return processState(children[0]) == "gone" || processState(children[0]) == "Z" })
	testenv.Eventually(t, "another process", func() bool { return n.PID() != 0 && n.PID() != first })
}

func TestHeldNodeStaysDownUntilStarted(t *testing.T) {
	t.Parallel()
	n, exits := startNode(t, "sleep 1000")
	startAndWait(t, n)
	n.Halt()
	<-exits
	if n.PID() != 0 {
		t.Error("it runs")
	}
	if startAndWait(t, n) == 0 {
		t.Error("it does not run after Start")
	}
}

func TestNodeFreezesAndResumesTheProcessTree(t *testing.T) {
	t.Parallel()
	n, _ := startNode(t, "sleep 1000 & wait")
	pid := startAndWait(t, n)
	var all []int
	testenv.Eventually(t, "a child", func() bool { all = append(proc.Descendants(pid), pid); return len(all) == 2 })
	n.Freeze()
	for _, one := range all {
		testenv.Eventually(t, "the freeze", func() bool { return processState(one) == "T" })
	}
	n.Resume()
	for _, one := range all {
		testenv.Eventually(t, "the resumption", func() bool { return processState(one) == "S" })
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
	startAndWait(t, n)
	n.Kill()
	if exit := <-exits; exit.Failpoint != "" {
		t.Errorf("an old crash is reported again: %+v", exit)
	}
}
