// Package processtest implements a conformance suite for a service as a process. It runs
// the test binary as the program and checks that each line of the log is JSON, that the
// process survives a log that cannot be written, and that SIGHUP stops it as SIGTERM does.
package processtest

import (
	"encoding/json"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

const runProgramEnv = "TEST_AS_PROGRAM" // set: the test binary runs the program

// Main is the body of TestMain. It runs the tests, or, in a process of Command or Shell,
// the program, and exits with its status.
func Main(m *testing.M, program func() int) {
	if os.Getenv(runProgramEnv) != "" {
		os.Exit(program()) //nolint:forbidigo // it stands for main
	}
	UnignoreSignals()
	m.Run()
}

// UnignoreSignals makes the programs that the tests start react to SIGHUP and SIGINT, also
// when nohup or a background shell started the tests.
func UnignoreSignals() {
	// A child process inherits ignored signals, but not those that its parent catches.
	for _, ignored := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(ignored) {
			signal.Notify(make(chan os.Signal, 1), ignored)
		}
	}
}

// Command returns the program with args, the environment of the test, and env.
func Command(env []string, args ...string) *exec.Cmd {
	return newCommand(env, os.Args[0], args...)
}

// Shell returns a shell that runs script, which starts the program as $0, with args, the
// environment of the test, and env.
func Shell(env []string, script string, args ...string) *exec.Cmd {
	return newCommand(env, "sh", append([]string{"-c", script, os.Args[0]}, args...)...)
}

func newCommand(env []string, name string, args ...string) *exec.Cmd {
	command := exec.Command(name, args...) //nolint:gosec,noctx // the test binary itself, which Start ends
	command.Env = slices.Concat(os.Environ(), []string{runProgramEnv + "=1"}, env)
	return command
}

// Start starts the command, and kills it when the test ends.
func Start(t testing.TB, command *exec.Cmd) {
	t.Helper()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill() })
}

// Line is a line of a service's log. Library is empty for a line of the service's own.
type Line struct {
	Level, Msg, Service, Library, Error, Stack string
}

// ParseLog parses a log in the format json. Each line that is not JSON, has no message or
// names another service fails the test.
func ParseLog(t testing.TB, log, service string) []Line {
	t.Helper()
	var lines []Line
	for text := range strings.Lines(log) {
		var line Line
		if err := json.Unmarshal([]byte(text), &line); err != nil || line.Service != service || line.Msg == "" {
			t.Errorf("not a line of the log of %s: %q", service, text)
		}
		lines = append(lines, line)
	}
	return lines
}

// Log is a buffer for log output. Its methods may be called concurrently.
type Log struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String returns the output so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
