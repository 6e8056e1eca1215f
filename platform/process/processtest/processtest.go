// Package processtest implements a conformance suite for a service as a process. It runs
// the test binary as the program and checks that each line of the log is JSON, that the
// process survives a log that cannot be written, and that SIGHUP stops it as SIGTERM does.
package processtest

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"example.com/todo/platform/testenv"
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

// Service describes a service to Check.
type Service struct {
	Name string
	// Settings returns the environment of a process, with ports of its own, and the address
	// of its ops port.
	Settings func(t *testing.T) (env []string, ops string)
	// Exercise makes the process with this environment write many kinds of log lines.
	Exercise func(t *testing.T, env []string)
	// Libraries are those that must have log lines after Exercise, at the level debug.
	Libraries []string
}

// Check runs the conformance suite on s.
func Check(t *testing.T, s Service) {
	t.Helper()
	t.Run("each line of its log is JSON, and SIGHUP stops it", func(t *testing.T) {
		t.Parallel()
		env, ops := s.Settings(t)
		var log Log
		command := Command(append(env, "LOG_FORMAT=json", "LOG_LEVEL=debug"))
		command.Stdout, command.Stderr = &log, &log
		s.run(t, command, ops, syscall.SIGHUP, func() {
			s.Exercise(t, env)
			for _, library := range s.Libraries {
				testenv.Eventually(t, library+" has logged something", func() bool {
					return strings.Contains(log.String(), `"library":"`+library+`"`)
				})
			}
		})
		ParseLog(t, log.String(), s.Name)
	})
	t.Run("invalid settings are reported as JSON", func(t *testing.T) {
		t.Parallel()
		env, _ := s.Settings(t)
		var log Log
		command := Command(append(env, "LOG_FORMAT=json", "LOG_LEVEL=loud", "OPS_ADDR=nowhere\n\x1b"))
		command.Stdout, command.Stderr = &log, &log
		if err := command.Run(); err == nil {
			t.Error("the process started with invalid settings")
		}
		lines := ParseLog(t, log.String(), s.Name)
		if len(lines) != 1 || !strings.Contains(lines[0].Error, "ops.addr") || !strings.Contains(lines[0].Error, "log.level") {
			t.Errorf("%+v", lines)
		}
	})
	for name, script := range unwritableOutputs {
		t.Run("it survives a standard error that cannot be written: "+name, func(t *testing.T) {
			t.Parallel()
			env, ops := s.Settings(t)
			unread, broken, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			command := Shell(append(env, "LOG_LEVEL=debug"), script, t.TempDir()+"/log")
			command.ExtraFiles = []*os.File{broken}
			unread.Close()
			s.run(t, command, ops, syscall.SIGTERM, func() {
				broken.Close()
				s.Exercise(t, env)
			})
		})
	}
}

// unwritableOutputs are scripts that start the program $0 with a standard output and error
// on which each write fails.
var unwritableOutputs = map[string]string{
	"its pipe is broken": `exec "$0" >&3 2>&3`,
	"the disk is full":   `exec "$0" >/dev/full 2>/dev/full`,
	"it is closed":       `exec "$0" >&- 2>&-`,
	"it may not grow":    `ulimit -f 0; exec "$0" >"$1" 2>"$1"`,
}

// SendRequests returns an Exercise for an HTTP service. It requests /readyz, /metrics, path,
// and paths with control characters from HTTP_ADDR and OPS_ADDR.
func SendRequests(path string) func(t *testing.T, env []string) {
	paths := []string{
		"/readyz", "/metrics", path, "/x%1b%5d52;c;cHduZWQ=%1b%5c%e2%80%ae%ff%0alevel=ERROR", "/" + strings.Repeat("%0a", 5000),
	}
	return func(t *testing.T, env []string) {
		t.Helper()
		for _, variable := range env {
			name, addr, _ := strings.Cut(variable, "=")
			if name != "HTTP_ADDR" && name != "OPS_ADDR" {
				continue
			}
			for _, path := range paths {
				resp, err := http.Get("http://" + addr + path) //nolint:noctx // the process ends with the test
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
			}
		}
	}
}

// run starts the command, calls exercise as soon as the process is alive, and ends it by the signal.
func (s Service) run(t *testing.T, command *exec.Cmd, ops string, signal syscall.Signal, exercise func()) {
	t.Helper()
	Start(t, command)
	testenv.Eventually(t, s.Name+" is alive", func() bool {
		resp, err := http.Get("http://" + ops + "/livez") //nolint:noctx // the process ends with the test
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	exercise()
	if err := command.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err != nil {
		t.Errorf("after %v: %v", signal, err)
	}
}
