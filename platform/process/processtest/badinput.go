package processtest

import (
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"example.com/todo/platform/testenv"
)

// BadInput is a setting or a server with which a service cannot work. Its passwords are "hunter2", which no output
// may contain.
type BadInput struct {
	Env []string // in addition to Service.Settings
	// Line has texts that one line of the log contains, in its error or message: what happened, the setting with its
	// source, what to try.
	Line []string
	// Exits says that time cannot help: the process exits with 1. Otherwise it keeps running.
	Exits bool
	// Ready says that the service is ready nevertheless. It has no meaning if the process exits.
	Ready bool
	// Mend removes the cause. Then the log has the message Mended. It may be nil.
	Mend   func(t *testing.T)
	Mended string
}

// CheckBadInput runs the service with each of the inputs, by name.
func (s Service) CheckBadInput(t *testing.T, inputs map[string]func(t *testing.T) BadInput) {
	t.Helper()
	for name, arrange := range inputs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			input := arrange(t)
			env, ops := s.Settings(t)
			var log Log
			command := Command(slices.Concat(env, input.Env, []string{"LOG_FORMAT=json"}))
			command.Stdout, command.Stderr = &log, &log
			Start(t, command)
			if input.Exits {
				var exit *exec.ExitError
				if err := command.Wait(); err == nil || !asExit(err, &exit) || exit.ExitCode() != 1 {
					t.Errorf("the process ended with %v, want status 1", err)
				}
			} else {
				s.checkRetries(t, input, &log, ops)
				_ = command.Process.Signal(syscall.SIGTERM)
				if err := command.Wait(); err != nil {
					t.Errorf("after SIGTERM: %v", err)
				}
			}
			if lines := linesWith(ParseLog(t, log.String(), s.Name), input.Line); len(lines) != 1 {
				t.Errorf("%d lines of the log contain %q:\n%s", len(lines), input.Line, log.String())
			}
			if strings.Contains(log.String(), "hunter2") {
				t.Errorf("the log has a secret:\n%s", log.String())
			}
		})
	}
}

func asExit(err error, exit **exec.ExitError) bool {
	found, ok := err.(*exec.ExitError) //nolint:errorlint // Wait returns it unwrapped
	*exit = found
	return ok
}

// checkRetries expects the line in the log of a process that lives, is ready as the input says, and notices when the
// cause has gone.
func (s Service) checkRetries(t *testing.T, input BadInput, log *Log, ops string) {
	t.Helper()
	await := func(what string, texts []string) {
		t.Helper()
		testenv.Eventually(t, what, func() bool {
			text := log.String() // its last line may be incomplete
			return len(linesWith(ParseLog(t, text[:strings.LastIndex(text, "\n")+1], s.Name), texts)) > 0
		})
	}
	await("the line about the input", input.Line)
	status := func(path string) int {
		resp, err := http.Get("http://" + ops + path) //nolint:noctx // the process ends with the test
		if err != nil {
			return 0
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	wantReady := http.StatusServiceUnavailable
	if input.Ready {
		wantReady = http.StatusOK
	}
	testenv.Eventually(t, "the readiness of the input", func() bool { return status("/readyz") == wantReady })
	if got := status("/livez"); got != http.StatusOK {
		t.Errorf("/livez answers %d", got)
	}
	if input.Mend != nil {
		input.Mend(t)
		await("the line about its end", []string{input.Mended})
	}
}

// linesWith returns the lines that contain each of the texts in their error or message.
func linesWith(lines []Line, texts []string) []Line {
	return slices.DeleteFunc(lines, func(line Line) bool {
		return slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line.Msg+" "+line.Error, text) })
	})
}
