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

	"example.com/todo/scripts/internal/console"
	"example.com/todo/scripts/internal/proc"
)

// restarting supervises one script under RestartAlways, and delivers its exits.
func restarting(t *testing.T, text string, environ func(string) []string) (scripts, <-chan Exit) {
	t.Helper()
	exits := make(chan Exit, 100)
	s := scripts{dir: t.TempDir(), said: &output{}}
	s.Supervisor = New(Config{
		Launcher: proc.NewLauncher(), Console: console.Plain(s.said), LogDir: s.dir, StopTimeout: stopTimeout,
		Restart: RestartAlways, OnExit: func(e Exit) { exits <- e }, Environ: environ,
	}, script{name: "kafka", text: text, dir: s.dir})
	t.Cleanup(func() { s.StopAll(t.Context()) })
	return s, exits
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); {
		if time.Now().After(end) {
			t.Fatalf("timeout waiting until %s", what)
		}
		time.Sleep(5 * time.Millisecond) //nolint:forbidigo // polls another process
	}
}

// state is the process state of /proc: T is suspended, S sleeps.
func state(pid int) string {
	content, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(content), ") ")
	return rest[:min(1, len(rest))]
}

func TestRestartAlwaysStartsAKilledPartAgainWithoutItsChildren(t *testing.T) {
	t.Parallel()
	s, exits := restarting(t, `touch NAME.ready; sleep 1000 & wait`, nil)
	if err := s.Start(t.Context(), "kafka"); err != nil {
		t.Fatal(err)
	}
	first := s.PID("kafka")
	var children []int
	eventually(t, "it has a child", func() bool { children = proc.Descendants(first); return len(children) == 1 })
	if err := s.Kill("kafka"); err != nil {
		t.Fatal(err)
	}
	if exit := <-exits; !exit.Requested || exit.Code != 128+int(syscall.SIGKILL) {
		t.Errorf("%+v", exit)
	}
	eventually(t, "another process runs", func() bool { pid := s.PID("kafka"); return pid != 0 && pid != first })
	eventually(t, "the child is gone", func() bool { st := state(children[0]); return st == "" || st == "Z" })
}

func TestHaltKeepsAPartFromRunningUntilStart(t *testing.T) {
	t.Parallel()
	s, exits := restarting(t, `touch NAME.ready; sleep 1000`, nil)
	for range 2 {
		if err := s.Start(t.Context(), "kafka"); err != nil {
			t.Fatal(err)
		}
		if err := s.Halt("kafka"); err != nil {
			t.Fatal(err)
		}
		if exit := <-exits; !exit.Requested {
			t.Errorf("%+v", exit)
		}
		time.Sleep(2 * minUptime) //nolint:forbidigo // nothing must happen meanwhile
		if pid := s.PID("kafka"); pid != 0 {
			t.Errorf("it runs as %d", pid)
		}
	}
}

func TestStartUnderRestartAlwaysWaitsForAProcessThatBecomesReady(t *testing.T) {
	t.Parallel()
	starts := 0
	s, exits := restarting(t, `[ $N -lt 3 ] && exit $N; touch NAME.ready; sleep 1000`,
		func(string) []string { starts++; return []string{fmt.Sprint("N=", starts)} })
	if err := s.Start(t.Context(), "kafka"); err != nil {
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
	s, _ := restarting(t, orderly, nil)
	if err := s.Start(t.Context(), "kafka"); err != nil {
		t.Fatal(err)
	}
	pid := s.PID("kafka")
	if err := s.Signal("kafka", syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is suspended", func() bool { return state(pid) == "T" })
	if err := s.Stop(t.Context(), "kafka"); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if order, err := os.ReadFile(filepath.Join(s.dir, "order")); string(order) != "kafka\n" {
		t.Errorf("it was not stopped in an orderly way: %q, %v", order, err)
	}
}

func TestAPartThatIsHaltedBetweenTwoLivesIsPreparedByItsNextStartAlone(t *testing.T) {
	t.Parallel()
	s, exits := restarting(t, `[ -f fixed ] || exit 1; touch NAME.ready; sleep 1000`, nil)
	if err := s.Launch(t.Context(), "kafka"); err != nil {
		t.Fatal(err)
	}
	<-exits
	if err := s.Halt("kafka"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "fixed"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context(), "kafka"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * minUptime) //nolint:forbidigo // nothing must happen meanwhile
	if _, err := os.Stat(filepath.Join(s.dir, "kafka.ready")); err != nil {
		t.Error("the running part was prepared again")
	}
}

func TestStopAllWaitsForTheReportsOfExits(t *testing.T) {
	t.Parallel()
	reported := false
	s := New(Config{
		Launcher: proc.NewLauncher(), Console: console.Plain(&output{}), LogDir: t.TempDir(), StopTimeout: stopTimeout,
		Restart: RestartAlways, OnExit: func(Exit) {
			time.Sleep(100 * time.Millisecond) //nolint:forbidigo // a slow report
			reported = true
		},
	}, script{name: "kafka", text: `touch NAME.ready; sleep 1000`, dir: t.TempDir()})
	if err := s.Start(t.Context(), "kafka"); err != nil {
		t.Fatal(err)
	}
	if err := s.StopAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !reported {
		t.Error("StopAll returned first")
	}
}
