//go:build unix

package processtest

import (
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"example.com/todo/platform/testenv"
)

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
