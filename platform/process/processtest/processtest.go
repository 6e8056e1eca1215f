// Package processtest runs the program under test as a process of its own, and checks
// what holds for each service as a process: each line of its log is JSON, and neither
// a log that cannot be written nor SIGHUP ends it otherwise than SIGTERM does.
package processtest

import (
	"encoding/json"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
)

const runProgramEnv = "TEST_AS_PROGRAM"

// Main is what TestMain does: it runs the tests, or in a process of Command and Shell
// the program, which returns the exit status.
func Main(m *testing.M, program func() int) {
	if os.Getenv(runProgramEnv) != "" {
		os.Exit(program()) //nolint:forbidigo // as main does
	}
	UnignoreSignals()
	m.Run()
}

// UnignoreSignals lets programs that the tests start begin with SIGHUP and SIGINT as a
// terminal gives them. Those that nohup or a shell's background ignores would be
// ignored by the programs too.
func UnignoreSignals() {
	for _, ignored := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(ignored) {
			signal.Notify(make(chan os.Signal, 1), ignored)
		}
	}
}

// Command returns the program with these arguments and additional variables, to be
// started.
func Command(env []string, args ...string) *exec.Cmd {
	command := exec.Command(os.Args[0], args...) //nolint:gosec,noctx // a test's own program, which Start ends
	command.Env = append(append(os.Environ(), runProgramEnv+"=1"), env...)
	return command
}

// Shell returns a shell that is to start the program as $0, with additional variables.
func Shell(env []string, script string, args ...string) *exec.Cmd {
	command := exec.Command("sh", append([]string{"-c", script, os.Args[0]}, args...)...) //nolint:gosec,noctx // as in Command
	command.Env = append(append(os.Environ(), runProgramEnv+"=1"), env...)
	return command
}

// Start starts the command, which is killed when the test ends.
func Start(t testing.TB, command *exec.Cmd) {
	t.Helper()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill() })
}

// Line is what each line of a service's log has, and the library that it is of.
type Line struct {
	Level, Msg, Service, Library, Error, Stack string
}

// ParseLog returns the lines of a log in the format json. It fails the test for each line
// that is not one of the service's.
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

// Log collects what a process writes while a test reads it.
type Log struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String returns what was written so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
