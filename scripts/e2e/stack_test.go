package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stack is a running system in a folder of its own.
type stack struct {
	dir      string
	devstack string
	cmd      *exec.Cmd
	ended    chan error
	env      map[string]string // what the stack says of itself: addresses by name
}

func startStack(ctx context.Context, kafka string) (*stack, error) {
	dir, err := os.MkdirTemp("", "todo-e2e-")
	if err != nil {
		return nil, err
	}
	s := &stack{dir: dir, devstack: filepath.Join(dir, "devstack"), ended: make(chan error, 1)}
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", s.devstack, "../devstack").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building devstack: %w\n%s", err, out)
	}
	s.cmd = exec.Command(s.devstack, "run", "--dir", dir, "--ports", "free", "--kafka", kafka)
	s.cmd.Dir = filepath.Join("..", "..")
	s.cmd.Env = append(os.Environ(),
		"GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -race"),
		fmt.Sprintf("RATE_LIMIT_REQUESTS=%d", limitRequests),
		fmt.Sprintf("RATE_LIMIT_WINDOW=%s", limitWindow),
		"TRUSTED_PROXIES=127.0.0.1/32",
		"LOG_FORMAT=json",
	)
	output, err := os.Create(filepath.Join(dir, "devstack.log"))
	if err != nil {
		return nil, err
	}
	defer output.Close()
	s.cmd.Stdout, s.cmd.Stderr = output, output
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { s.ended <- s.cmd.Wait() }()
	if err := s.awaitReady(ctx); err != nil {
		log, _ := os.ReadFile(output.Name())
		_ = s.end()
		return nil, fmt.Errorf("%w\n%s", err, log)
	}
	return s, nil
}

func (s *stack) awaitReady(ctx context.Context) error {
	return poll(ctx, func() error {
		select {
		case err := <-s.ended:
			s.ended <- err
			return fatal{fmt.Errorf("devstack ended early: %w", err)}
		default:
		}
		if err := s.readEnv(); err != nil {
			return err
		}
		for _, part := range []string{"TODO_OPS_ADDR", "NOTIFICATION_OPS_ADDR", "STATS_OPS_ADDR"} {
			if err := ready(ctx, s.env[part]); err != nil {
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

func ready(ctx context.Context, addr string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s is not ready: %s", addr, resp.Status)
	}
	return nil
}

// stop and start act on one part of the stack. What a test stopped is started
// again when it ends.
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

// log returns what a part has logged so far.
func (s *stack) log(t *testing.T, part string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(s.dir, "log", part+".log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// end stops the stack as Ctrl-C does and removes it. It reports a slow or failed
// stop, and a data race or a panic that a service logged meanwhile.
func (s *stack) end() error {
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	var problems []error
	select {
	case err := <-s.ended:
		if err != nil {
			problems = append(problems, fmt.Errorf("devstack: %w", err))
		}
	case <-time.After(15 * time.Second):
		_ = s.cmd.Process.Signal(syscall.SIGKILL)
		problems = append(problems, errors.New("devstack did not stop within 15 s"))
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
		for _, sign := range []string{"DATA RACE", "panic"} {
			if i := bytes.Index(content, []byte(sign)); i >= 0 {
				problems = append(problems, fmt.Errorf("%s says:\n%.3000s", filepath.Base(file), content[i:]))
			}
		}
	}
	if len(problems) == 0 {
		return os.RemoveAll(s.dir)
	}
	return fmt.Errorf("(kept in %s) %w", s.dir, errors.Join(problems...))
}
