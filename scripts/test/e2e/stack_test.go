package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/todo/scripts/internal/poll"
)

// stopLimit is the promise for Ctrl-C.
const stopLimit = 10 * time.Second

// opsListeners are the variables of the services' ops addresses.
var opsListeners = []string{"TODO_OPS_ADDR", "NOTIFICATION_OPS_ADDR", "STATS_OPS_ADDR"}

// stack is a running system with its own folder.
type stack struct {
	dir      string
	devstack string
	cmd      *exec.Cmd
	ended    chan error
	env      map[string]string // of stack.env: addresses by name
}

// newStack creates the folder of a stack and builds devstack into it.
func newStack(ctx context.Context) (*stack, error) {
	dir, err := os.MkdirTemp("", "todo-e2e-")
	if err != nil {
		return nil, err
	}
	s := &stack{dir: dir, devstack: filepath.Join(dir, "devstack")}
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", s.devstack, "../../devstack").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building devstack: %w\n%s", err, out)
	}
	return s, nil
}

// run starts the stack on free ports and waits until it is ready. After an error the stack is removed.
func (s *stack) run(ctx context.Context, kafka string, env ...string) error {
	s.cmd = exec.Command(s.devstack, "run", "--dir", s.dir, "--ports", "free", "--kafka", kafka, fmt.Sprintf("--secure=%t", secure))
	s.cmd.Dir = filepath.Join("..", "..", "..")
	s.cmd.Env = append(os.Environ(), env...)
	output, err := os.Create(s.outputPath())
	if err != nil {
		return err
	}
	defer output.Close()
	s.cmd.Stdout, s.cmd.Stderr = output, output
	if err := s.cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	s.ended = ended
	go func(cmd *exec.Cmd) { ended <- cmd.Wait() }(s.cmd)
	if err := s.awaitReady(ctx); err != nil {
		log, _ := os.ReadFile(s.outputPath())
		_ = s.end()
		return fmt.Errorf("%w\n%s", err, log)
	}
	return nil
}

func (s *stack) outputPath() string { return filepath.Join(s.dir, "devstack.log") }

func (s *stack) awaitReady(ctx context.Context) error {
	return poll.Until(ctx, func() error {
		select {
		case err := <-s.ended:
			s.ended <- err
			return poll.Permanent(fmt.Errorf("devstack ended early: %w", err))
		default:
		}
		if err := s.readEnv(); err != nil {
			return err
		}
		access, err := newAccess(s)
		if err != nil {
			return err
		}
		for _, part := range opsListeners {
			if err := access.checkReady(ctx, part); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *stack) readEnv() error {
	content, err := os.ReadFile(filepath.Join(s.dir, "stack.env"))
	if err != nil {
		return err
	}
	s.env = map[string]string{}
	for line := range strings.Lines(string(content)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			s.env[key] = value
		}
	}
	return nil
}

func (s *stack) address(variable string) string    { return s.env[variable] }
func (s *stack) credential(variable string) string { return s.env[variable] }

func (s *stack) stop(t *testing.T, part string) {
	t.Helper()
	s.act(t, "stop", part)
	t.Cleanup(func() {
		if t.Failed() {
			_ = exec.Command(s.devstack, "start", "--dir", s.dir, part).Run()
		}
	})
}

func (s *stack) start(t *testing.T, part string) {
	t.Helper()
	s.act(t, "start", part)
}

func (s *stack) act(t *testing.T, verb, part string) {
	t.Helper()
	if out, err := exec.Command(s.devstack, verb, "--dir", s.dir, part).CombinedOutput(); err != nil {
		t.Fatalf("devstack %s %s: %v\n%s", verb, part, err, out)
	}
}

func (s *stack) log(t *testing.T, part string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(s.dir, "log", part+".log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func (s *stack) command(ctx context.Context, service string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.dir, "bin", service), args...)
	cmd.Env = append(os.Environ(), "POSTGRES_DSN="+s.env["POSTGRES_DSN"], "REDIS_ADDR="+s.env["REDIS_ADDR"], "KAFKA_BROKERS="+s.env["KAFKA_BROKERS"])
	if secure {
		cmd.Env = append(cmd.Env,
			"REDIS_TLS=true", "REDIS_TLS_CA="+s.env["TLS_CA"],
			"REDIS_USERNAME="+s.env["REDIS_ADMIN_USERNAME"], "REDIS_PASSWORD="+s.env["REDIS_ADMIN_PASSWORD"],
			"KAFKA_TLS=true", "KAFKA_TLS_CA="+s.env["TLS_CA"], "KAFKA_SASL_MECHANISM=plain",
			"KAFKA_SASL_USERNAME="+s.env["KAFKA_ADMIN_USERNAME"], "KAFKA_SASL_PASSWORD="+s.env["KAFKA_ADMIN_PASSWORD"])
	}
	return cmd
}

// limitedClient's requests come from an address that is not a trusted proxy, from a new port each.
func (s *stack) limitedClient() (from, counted string, headers func(i int) []string) {
	const limited = "127.0.0.9"
	return limited, limited, func(i int) []string {
		return []string{"X-Forwarded-For", fmt.Sprintf("203.0.113.%d", i)}
	}
}

// refusalLimit is short: a port of this host without a listener refuses a connection at once.
func (s *stack) refusalLimit() time.Duration { return time.Second }

// interrupt stops the stack as Ctrl-C does. A slow or failed stop is an error.
func (s *stack) interrupt() error {
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case err := <-s.ended:
		if err != nil {
			return fmt.Errorf("devstack: %w", err)
		}
		return nil
	case <-time.After(stopLimit):
		_ = s.cmd.Process.Signal(syscall.SIGKILL)
		return fmt.Errorf("devstack did not stop within %v", stopLimit)
	}
}

func (s *stack) end() error {
	var problems []error
	if err := s.interrupt(); err != nil {
		problems = append(problems, err)
	}
	logs, _ := filepath.Glob(filepath.Join(s.dir, "log", "*-service.log")) // only a bad pattern is an error
	if len(logs) != 3 {
		problems = append(problems, fmt.Errorf("the logs of three services are %v", logs))
	}
	for _, file := range logs {
		content, err := os.ReadFile(file)
		if err != nil {
			problems = append(problems, err)
		}
		problems = append(problems, findCrash(filepath.Base(file), content))
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("(kept in %s) %w", s.dir, err)
	}
	return os.RemoveAll(s.dir)
}

// findCrash returns an error if a service's log has a data race or a panic.
func findCrash(name string, log []byte) error {
	for _, sign := range []string{"DATA RACE", "panic"} {
		if i := bytes.Index(log, []byte(sign)); i >= 0 {
			return fmt.Errorf("%s says:\n%.3000s", name, log[i:])
		}
	}
	return nil
}
