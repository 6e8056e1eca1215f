package cluster

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"example.com/todo/scripts/internal/proc"
)

// script is a part that runs a shell script and is ready at once.
type script string

func (script) Name() string                  { return "script" }
func (script) ReadyWhen() string             { return "nothing" }
func (script) Prepare(context.Context) error { return nil }
func (script) Ready(context.Context) error   { return nil }
func (s script) Command() (proc.Command, error) {
	return proc.Command{Path: "/bin/sh", Args: []string{"-c", string(s)}, Env: []string{"PATH=" + os.Getenv("PATH")}}, nil
}

// keep runs a script as a member until the test ends.
func keep(t *testing.T, s script) (*Member, <-chan End) {
	t.Helper()
	ends := make(chan End, 10)
	m := &Member{
		part: s, name: "script", dir: t.TempDir(), launcher: proc.NewLauncher(),
		onEnd: func(e End) { ends <- e }, changed: make(chan struct{}),
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		m.keep(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-over
	})
	return m, ends
}

func up(t *testing.T, m *Member) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := m.Up(ctx); err != nil {
		t.Fatal(err)
	}
	return m.PID()
}

// alive tells whether a process runs: not ended, not stopped.
func state(pid int) string {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "gone"
	}
	_, rest, _ := strings.Cut(string(content), ") ")
	return rest[:1]
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if holds() {
			return
		}
		wait(t.Context(), 5*time.Millisecond)
	}
	t.Fatalf("%s does not come about", what)
}

func TestAProgramThatIsKilledIsStartedAgainWithoutItsChildren(t *testing.T) {
	t.Parallel()
	m, ends := keep(t, "sleep 1000 & wait")
	first := up(t, m)
	var children []int
	eventually(t, "a child", func() bool { children = proc.Descendants(first); return len(children) == 1 })
	m.Kill()
	if end := <-ends; !end.Asked || !end.Killed || end.Point != "" {
		t.Errorf("%+v", end)
	}
	eventually(t, "the child's end", func() bool { return state(children[0]) == "gone" || state(children[0]) == "Z" })
	eventually(t, "another process", func() bool { return m.PID() != 0 && m.PID() != first })
}

func TestAProgramThatIsHeldStaysAway(t *testing.T) {
	t.Parallel()
	m, ends := keep(t, "sleep 1000")
	up(t, m)
	m.Hold()
	<-ends
	if m.PID() != 0 {
		t.Error("it runs")
	}
	if up(t, m) == 0 {
		t.Error("it does not run after Up")
	}
}

func TestAFrozenProgramGoesOn(t *testing.T) {
	t.Parallel()
	m, _ := keep(t, "sleep 1000 & wait")
	pid := up(t, m)
	var all []int
	eventually(t, "a child", func() bool { all = append(proc.Descendants(pid), pid); return len(all) == 2 })
	m.Freeze()
	for _, one := range all {
		eventually(t, "the freeze", func() bool { return state(one) == "T" })
	}
	m.Thaw()
	for _, one := range all {
		eventually(t, "the thaw", func() bool { return state(one) == "S" })
	}
}

func TestAnEndThatNobodyAskedForIsTold(t *testing.T) {
	t.Parallel()
	m, ends := keep(t, "exit 3")
	m.want(true)
	if end := <-ends; end.Asked || end.Killed || end.Status != "exit status 3" {
		t.Errorf("%+v", end)
	}
}

func TestACrashPointIsArmedAndReadBack(t *testing.T) {
	t.Parallel()
	m, ends := keep(t, `[ -z "$FAILPOINT" ] && sleep 1000; echo "${FAILPOINT%:*} in hand" >>"$FAILPOINT_LOG"; kill -9 $$`)
	left := []string{"here:1", "there:2"}
	m.Arm(func() string {
		if len(left) == 0 {
			return ""
		}
		next := left[0]
		left = left[1:]
		return next
	})
	m.want(true)
	for _, point := range []string{"here", "there"} {
		if end := <-ends; end.Asked || !end.Killed || end.Point != point || end.InHand != "in hand" {
			t.Errorf("%s: %+v", point, end)
		}
	}
	up(t, m)
	m.Kill()
	if end := <-ends; end.Point != "" {
		t.Errorf("an old crash is told again: %+v", end)
	}
}
