package supervisor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/scripts/internal/console"
	"example.com/todo/scripts/internal/proc"
)

// stopTimeout is short, because one test waits for it.
const stopTimeout = 3 * time.Second

// orderly writes its name to the file "order" at SIGTERM.
const orderly = `trap 'echo NAME >> order; exit 0' TERM; touch NAME.ready; echo NAME is up; while :; do sleep 0.02; done`

// script is a part that runs a shell script in dir. It is ready when the file <name>.ready exists.
func script(name, text, dir string) Part {
	ready := filepath.Join(dir, name+".ready")
	return Part{
		Name:      name,
		Prepare:   func(context.Context) error { return os.RemoveAll(ready) },
		ReadyWhen: "the file " + name + ".ready",
		Command: func() (proc.Command, error) {
			return proc.Command{Path: "sh", Args: []string{"-c", strings.ReplaceAll(text, "NAME", name)}, Dir: dir}, nil
		},
		Ready: func(context.Context) error {
			_, err := os.Stat(ready)
			return err
		},
	}
}

// scripts is a supervisor of shell scripts with its console's text.
type scripts struct {
	*Supervisor
	dir  string
	said *output
}

type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// newScripts makes a part of each pair of a name and a script.
func newScripts(t *testing.T, pairs ...string) scripts {
	t.Helper()
	s := scripts{dir: t.TempDir(), said: &output{}}
	var parts []Part
	for i := 0; i < len(pairs); i += 2 {
		parts = append(parts, script(pairs[i], pairs[i+1], s.dir))
	}
	s.Supervisor = New(Config{
		Launcher: proc.NewLauncher(), Console: console.Plain(s.said), LogDir: s.dir, Shown: []string{"shown"}, StopTimeout: stopTimeout,
	}, parts...)
	t.Cleanup(func() { s.StopAll(t.Context()) })
	return s
}

// pid returns the process id of a part.
func (s scripts) pid(name string) int {
	i := slices.IndexFunc(s.Units(), func(u *Unit) bool { return u.Name == name })
	return s.Units()[i].PID()
}

func (s scripts) unexpectedExit(t *testing.T) *UnexpectedExit {
	t.Helper()
	select {
	case exit := <-s.UnexpectedExits():
		return exit
	case <-time.After(10 * time.Second):
		t.Fatal("no exit was reported")
		return nil
	}
}

func TestStopAllStopsInTheReverseOrder(t *testing.T) {
	t.Parallel()
	s := newScripts(t, "postgres", orderly, "kafka", orderly, "service", orderly)
	if err := s.StartAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.StopAll(t.Context()); err != nil {
		t.Errorf("StopAll: %v", err)
	}
	order, err := os.ReadFile(filepath.Join(s.dir, "order"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("service\nkafka\npostgres\n", string(order)); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if err := s.Start(t.Context(), "kafka"); err == nil {
		t.Error("a part started after everything was stopped")
	}
}

func TestStopAllKillsAPartThatExceedsItsShareOfTheTime(t *testing.T) {
	t.Parallel()
	s := newScripts(t, "postgres", orderly, "stubborn", `trap '' TERM; touch NAME.ready; while :; do sleep 0.02; done`)
	if err := s.StartAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	err := s.StopAll(t.Context())
	if !errors.Is(err, proc.ErrKilled) || !strings.Contains(err.Error(), "stubborn") || strings.Contains(err.Error(), "postgres") {
		t.Errorf("StopAll: %v, want that stubborn was killed, and no other", err)
	}
	if took := time.Since(began); took > stopTimeout+time.Second {
		t.Errorf("it took %s, want %s at most", took, stopTimeout)
	}
}

func TestStopIsNoUnexpectedExit(t *testing.T) {
	t.Parallel()
	s := newScripts(t, "kafka", orderly)
	for range 2 {
		if err := s.Start(t.Context(), "kafka"); err != nil {
			t.Fatal(err)
		}
		if err := s.Start(t.Context(), "kafka"); !errors.Is(err, ErrUnchanged) {
			t.Errorf("starting it again: %v, want ErrUnchanged", err)
		}
		if err := s.Stop(t.Context(), "kafka"); err != nil {
			t.Fatal(err)
		}
		if err := s.Stop(t.Context(), "kafka"); !errors.Is(err, ErrUnchanged) {
			t.Errorf("stopping it again: %v, want ErrUnchanged", err)
		}
	}
	select {
	case exit := <-s.UnexpectedExits():
		t.Errorf("unexpected exit: %v", exit)
	default:
	}
	if err := s.Start(t.Context(), "unknown"); err == nil || !strings.Contains(err.Error(), "the parts are kafka") {
		t.Errorf("starting a part that is not there: %v, want those that are", err)
	}
}

func TestUnexpectedExitQuotesTheLastLinesOfTheLog(t *testing.T) {
	t.Parallel()
	s := newScripts(t, "kafka", `i=0; while [ $i -lt 50 ]; do echo line $i; i=$((i+1)); done; touch NAME.ready; read forever`)
	if err := os.WriteFile(filepath.Join(s.dir, "kafka.log"), []byte("of an earlier run\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// With its input at the end, read returns at once: the script ends by itself, ready or not.
	if err := s.Start(t.Context(), "kafka"); err != nil && !errors.As(err, new(*UnexpectedExit)) {
		t.Fatal(err)
	}
	exit := s.unexpectedExit(t)
	var want []string
	for i := 30; i < 50; i++ {
		want = append(want, fmt.Sprintf("line %d", i))
	}
	if diff := cmp.Diff(want, exit.LastLines); diff != "" {
		t.Errorf("last lines (-want +got):\n%s", diff)
	}
	if text := exit.Error(); !strings.Contains(text, "kafka ended by itself (exit status 1)") || !strings.HasSuffix(text, "line 49") {
		t.Errorf("the error reads %q", text)
	}
	if s.pid("kafka") != 0 {
		t.Error("it still counts as running")
	}
}

func TestFailedStartCanBeRepeatedAtOnce(t *testing.T) {
	t.Parallel()
	s := newScripts(t, "kafka", orderly)
	failed := errors.New("no program")
	s.Units()[0].Command = func() (proc.Command, error) { return proc.Command{}, failed }
	for range 100 {
		if err := s.Start(t.Context(), "kafka"); !errors.Is(err, failed) {
			t.Fatalf("Start: %v, want %v", err, failed)
		}
	}
}

func TestExitBySignalIsUnexpected(t *testing.T) {
	t.Parallel()
	s := newScripts(t, "kafka", orderly)
	if err := s.Start(t.Context(), "kafka"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(s.pid("kafka"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if exit := s.unexpectedExit(t); exit.Part != "kafka" || exit.Status != "signal: killed" {
		t.Errorf("the exit is %+v", exit)
	}
}

func TestStartLeavesThePartRunningAfterTheEndOfItsContext(t *testing.T) {
	t.Parallel()
	s := newScripts(t, "slow", `while :; do sleep 0.02; done`)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s.Start(ctx, "slow"); err == nil || !strings.Contains(err.Error(), "slow.ready") {
		t.Errorf("Start: %v, want what it waited for", err)
	}
	if s.pid("slow") == 0 {
		t.Error("the part does not run")
	}
}

func TestProgressNamesTheConditionAndShowsTheOutputOfShownParts(t *testing.T) {
	t.Parallel()
	s := newScripts(t, "shown", orderly, "hidden", orderly)
	if err := s.StartAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.StopAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	said := s.said.String()
	for _, want := range []string{
		"==> shown: waiting for the file shown.ready\n", "==> hidden: ready after ", "shown                │ shown is up\n",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is missing in:\n%s", want, said)
		}
	}
	if strings.Contains(said, "hidden is up") {
		t.Errorf("the lines of a hidden part are shown:\n%s", said)
	}
}

// A shown part writes into a pipe. A full disk under its log must not close the pipe.
func TestPartGoesOnWhenItsLogCannotBeWritten(t *testing.T) {
	t.Parallel()
	s := newScripts(t, "shown", `touch NAME.ready; i=0; while :; do echo line $i; i=$((i+1)); echo $i > count; sleep 0.01; done`)
	if err := os.Symlink("/dev/full", filepath.Join(s.dir, "shown.log")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	if err := s.Start(t.Context(), "shown"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.After(10 * time.Second); !strings.Contains(s.said.String(), "│ line 20\n"); {
		select {
		case exit := <-s.UnexpectedExits():
			t.Fatal(exit)
		case <-deadline:
			t.Fatalf("its lines are not shown any more:\n%s", s.said)
		case <-time.After(10 * time.Millisecond):
		}
	}
	if n := strings.Count(s.said.String(), "==> shown: its log loses output"); n != 1 {
		t.Errorf("reported %d times that the log loses output:\n%s", n, s.said)
	}
}

func TestLastLinesArePrintableAndBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("a\x1b[2J\u202eb\r\n\tmain.go:1\n"+strings.Repeat("x", 20_000)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	lines := lastLines(path)
	if len(lines) != 3 || lines[0] != `a\x1b[2J\u202eb\r` || lines[1] != "\tmain.go:1" || len(lines[2]) > 1100 {
		t.Errorf("%q", lines)
	}
}
