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
)

// script is a program that runs a shell script and is ready at once.
type script string

func (script) Name() string                  { return "script" }
func (script) Awaits() string                { return "nothing" }
func (script) Prepare(context.Context) error { return nil }
func (script) Ready(context.Context) error   { return nil }
func (s script) Command() (proc.Command, error) {
	return proc.Command{Path: "/bin/sh", Args: []string{"-c", string(s)}, Env: []string{"PATH=" + os.Getenv("PATH")}}, nil
}

// superviseScript runs a script as a node until the test ends.
func startNode(t *testing.T, s script) (*Node, <-chan Exit) {
	t.Helper()
	ends := make(chan Exit, 10)
	m := &Node{
		part: s, name: "script", dir: t.TempDir(), launcher: proc.NewLauncher(),
		onExit: func(e Exit) { ends <- e }, changed: make(chan struct{}),
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		m.supervise(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-over
	})
	return m, ends
}

func startAndWait(t *testing.T, m *Node) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := m.StartAndWait(ctx); err != nil {
		t.Fatal(err)
	}
	return m.PID()
}

// state returns the state of a process as in /proc: "S" sleeping, "T" stopped, "Z" zombie; or
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
	m, ends := startNode(t, "sleep 1000 & wait")
	first := startAndWait(t, m)
	var children []int
	testenv.Eventually(t, "a child", func() bool { children = proc.Descendants(first); return len(children) == 1 })
	m.Kill()
	if end := <-ends; !end.Requested || !end.Killed || end.Failpoint != "" {
		t.Errorf("%+v", end)
	}
	testenv.Eventually(t, "the child's end", func() bool { return processState(children[0]) == "gone" || processState(children[0]) == "Z" })
	testenv.Eventually(t, "another process", func() bool { return m.PID() != 0 && m.PID() != first })
}

func TestHeldNodeStaysDownUntilStarted(t *testing.T) {
	t.Parallel()
	m, ends := startNode(t, "sleep 1000")
	startAndWait(t, m)
	m.KillAndHold()
	<-ends
	if m.PID() != 0 {
		t.Error("it runs")
	}
	if startAndWait(t, m) == 0 {
		t.Error("it does not run after Up")
	}
}

func TestNodeFreezesAndResumesTheProcessTree(t *testing.T) {
	t.Parallel()
	m, _ := startNode(t, "sleep 1000 & wait")
	pid := startAndWait(t, m)
	var all []int
	testenv.Eventually(t, "a child", func() bool { all = append(proc.Descendants(pid), pid); return len(all) == 2 })
	m.Freeze()
	for _, one := range all {
		testenv.Eventually(t, "the freeze", func() bool { return processState(one) == "T" })
	}
	m.Resume()
	for _, one := range all {
		testenv.Eventually(t, "the thaw", func() bool { return processState(one) == "S" })
	}
}

func TestNodeReportsAnUnrequestedExit(t *testing.T) {
	t.Parallel()
	m, ends := startNode(t, "exit 3")
	m.setWanted(true)
	if end := <-ends; end.Requested || end.Killed || end.Status != "exit status 3" {
		t.Errorf("%+v", end)
	}
}

func TestNodeArmsFailpointsAndReportsTheirCrashes(t *testing.T) {
	t.Parallel()
	m, ends := startNode(t, `[ -z "$FAILPOINT" ] && sleep 1000; echo "${FAILPOINT%:*} in hand" >>"$FAILPOINT_LOG"; kill -9 $$`)
	left := []string{"here:1", "there:2"}
	m.ArmFailpoints(func() string {
		if len(left) == 0 {
			return ""
		}
		next := left[0]
		left = left[1:]
		return next
	})
	m.setWanted(true)
	for _, point := range []string{"here", "there"} {
		if end := <-ends; end.Requested || !end.Killed || end.Failpoint != point || end.InFlight != "in hand" {
			t.Errorf("%s: %+v", point, end)
		}
	}
	startAndWait(t, m)
	m.Kill()
	if end := <-ends; end.Failpoint != "" {
		t.Errorf("an old crash is told again: %+v", end)
	}
}
