package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/todo/platform/testenv"
	"example.com/todo/scripts/internal/console"
	"example.com/todo/scripts/internal/proc"
)

// restarting supervises one script with Config.Restart, and delivers its exits. dir is the script's folder.
func restarting(t *testing.T, text string) (u *Unit, dir string, exits <-chan Exit) {
	t.Helper()
	delivered := make(chan Exit, 100)
	dir = t.TempDir()
	u = NewUnit(Config{
		Launcher: proc.NewLauncher(), Console: console.Plain(&output{}), LogDir: dir, StopTimeout: stopTimeout,
		Restart: true, OnExit: func(e Exit) { delivered <- e },
	}, script("kafka", text, dir))
	t.Cleanup(func() { u.Close(t.Context()) })
	return u, dir, delivered
}

// state is the process state of /proc: T is suspended, S sleeps.
func state(pid int) string {
	content, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(content), ") ")
	return rest[:min(1, len(rest))]
}

func TestKilledPartStartsAgainWithoutItsChildren(t *testing.T) {
	t.Parallel()
	u, _, exits := restarting(t, `touch NAME.ready; sleep 1000 & wait`)
	if err := u.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := u.PID()
	var children []int
	testenv.Eventually(t, "a child", func() bool { children = proc.Descendants(first); return len(children) == 1 })
	u.Kill()
	if exit := <-exits; !exit.Requested || exit.Code != 128+int(syscall.SIGKILL) {
		t.Errorf("%+v", exit)
	}
	testenv.Eventually(t, "another process", func() bool { pid := u.PID(); return pid != 0 && pid != first })
	testenv.Eventually(t, "the child's end", func() bool { st := state(children[0]); return st == "" || st == "Z" })
}

func TestHaltKeepsAPartFromRunningUntilStart(t *testing.T) {
	t.Parallel()
	u, _, exits := restarting(t, `touch NAME.ready; sleep 1000`)
	for range 2 {
		if err := u.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		u.Halt()
		if exit := <-exits; !exit.Requested {
			t.Errorf("%+v", exit)
		}
		time.Sleep(2 * minUptime) //nolint:forbidigo // nothing must happen meanwhile
		if pid := u.PID(); pid != 0 {
			t.Errorf("it runs as %d", pid)
		}
	}
}

func TestStartWaitsForAProcessThatBecomesReady(t *testing.T) {
	t.Parallel()
	u, _, exits := restarting(t, `echo >> n; N=$(wc -l < n); [ $N -lt 3 ] && exit $N; touch NAME.ready; sleep 1000`)
	if err := u.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var codes []int
	for range 2 {
		exit := <-exits
		codes = append(codes, exit.Code)
		if exit.Requested {
			t.Errorf("%+v was not requested", exit)
		}
	}
	if !slices.Equal(codes, []int{1, 2}) {
		t.Errorf("exit codes %v", codes)
	}
}

func TestSignalSuspendsAPartWithItsChildrenAndStopResumesThem(t *testing.T) {
	t.Parallel()
	u, dir, _ := restarting(t, `trap 'echo NAME >> order; exit 0' TERM; touch NAME.ready; sleep 1000 & wait`)
	if err := u.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var all []int
	testenv.Eventually(t, "a child", func() bool {
		all = append(proc.Descendants(u.PID()), u.PID())
		return len(all) == 2
	})
	for _, step := range []struct {
		signal syscall.Signal
		state  string
	}{{syscall.SIGSTOP, "T"}, {syscall.SIGCONT, "S"}, {syscall.SIGSTOP, "T"}} {
		u.Signal(step.signal)
		for _, pid := range all {
			testenv.Eventually(t, step.signal.String(), func() bool { return state(pid) == step.state })
		}
	}
	if err := u.Stop(t.Context()); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if order, err := os.ReadFile(filepath.Join(dir, "order")); string(order) != "kafka\n" {
		t.Errorf("it was not stopped in an orderly way: %q, %v", order, err)
	}
}

func TestAPartThatIsHaltedBetweenTwoLivesIsPreparedByItsNextStartAlone(t *testing.T) {
	t.Parallel()
	u, dir, exits := restarting(t, `[ -f fixed ] || exit 1; touch NAME.ready; sleep 1000`)
	if err := u.Launch(); err != nil {
		t.Fatal(err)
	}
	<-exits
	u.Halt()
	if err := os.WriteFile(filepath.Join(dir, "fixed"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := u.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * minUptime) //nolint:forbidigo // nothing must happen meanwhile
	if _, err := os.Stat(filepath.Join(dir, "kafka.ready")); err != nil {
		t.Error("the running part was prepared again")
	}
}

func TestCloseWaitsForTheReportsOfExits(t *testing.T) {
	t.Parallel()
	u, _, _ := restarting(t, `touch NAME.ready; sleep 1000`)
	reported := false
	u.cfg.OnExit = func(Exit) {
		time.Sleep(100 * time.Millisecond) //nolint:forbidigo // a slow report
		reported = true
	}
	if err := u.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := u.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !reported {
		t.Error("Close returned first")
	}
}
