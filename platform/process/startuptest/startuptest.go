// Package startuptest starts a service as a process with settings and servers that it cannot work with. It checks that
// one line of the log says what is wrong, which setting it is about and what to try, that the process exits only where
// time cannot help, and that no secret is printed.
package startuptest

import (
	"errors"
	"maps"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/todo/platform/process/processtest"
	"example.com/todo/platform/testenv"
)

// Secret is the password in inputs. No output may contain it.
const Secret = "hunter2"

// exitLimit is the time of an input: the start, the line in the log and the end of the process.
const exitLimit = 2 * time.Minute

// Input is a setting or a server with which a service cannot work.
type Input struct {
	Env []string // in addition to the settings of the service
	// Line has texts that one line of the log contains, in its error or message: what happened, the setting with its
	// source, what to try.
	Line []string
	// Exits says that time cannot help: the process exits with 1. Otherwise it keeps running.
	Exits bool
	// Ready says that the service is ready nevertheless. It has no meaning if the process exits.
	Ready bool
	// Mend removes the cause. Then the log has the message Mended, and the service is ready. It may be nil.
	Mend   func(t *testing.T)
	Mended string
}

// Inputs makes inputs, by name.
type Inputs map[string]func(t *testing.T) Input

// Check runs the service with each of the inputs.
func Check(t *testing.T, s processtest.Service, groups ...Inputs) {
	t.Helper()
	inputs := Inputs{}
	for _, group := range groups {
		maps.Copy(inputs, group)
	}
	for name, arrange := range inputs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			input := arrange(t)
			env, ops := s.Settings(t)
			var log processtest.Log
			command := processtest.Command(slices.Concat(env, input.Env, []string{"LOG_FORMAT=json"}))
			command.Stdout, command.Stderr = &log, &log
			processtest.Start(t, command)
			// A process that ignores what should end it must not block the other tests.
			kill := time.AfterFunc(exitLimit, func() { _ = command.Process.Kill() })
			defer kill.Stop()
			if input.Exits {
				var exit *exec.ExitError
				if err := command.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
					t.Errorf("the process ended with %v, want status 1", err)
				}
			} else {
				checkRetries(t, s.Name, input, &log, ops)
				_ = command.Process.Signal(syscall.SIGTERM)
				if err := command.Wait(); err != nil {
					t.Errorf("after SIGTERM: %v", err)
				}
			}
			if lines := linesWith(processtest.ParseLog(t, log.String(), s.Name), input.Line); len(lines) != 1 {
				t.Errorf("%d lines of the log contain %q:\n%s", len(lines), input.Line, log.String())
			}
			if strings.Contains(log.String(), Secret) {
				t.Errorf("the log has a secret:\n%s", log.String())
			}
		})
	}
}

// checkRetries expects the line in the log of a process that lives, is ready as the input says, and notices when the
// cause has gone.
func checkRetries(t *testing.T, service string, input Input, log *processtest.Log, ops string) {
	t.Helper()
	await := func(what string, texts []string) {
		t.Helper()
		testenv.Eventually(t, what, func() bool {
			text := log.String() // its last line may be incomplete
			return len(linesWith(processtest.ParseLog(t, text[:strings.LastIndex(text, "\n")+1], service), texts)) > 0
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
	ready := map[bool]int{true: http.StatusOK, false: http.StatusServiceUnavailable}
	testenv.Eventually(t, "the readiness of the input", func() bool { return status("/readyz") == ready[input.Ready] })
	if got := status("/livez"); got != http.StatusOK {
		t.Errorf("/livez answers %d", got)
	}
	if input.Mend != nil {
		input.Mend(t)
		await("the line about its end", []string{input.Mended})
		testenv.Eventually(t, "the service is ready", func() bool { return status("/readyz") == http.StatusOK })
	}
}

// linesWith returns the lines that contain each of the texts in their error or message.
func linesWith(lines []processtest.Line, texts []string) []processtest.Line {
	return slices.DeleteFunc(lines, func(line processtest.Line) bool {
		return slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line.Msg+" "+line.Error, text) })
	})
}
