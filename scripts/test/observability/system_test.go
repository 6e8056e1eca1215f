package observability

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"example.com/todo/platform/testenv"
	"example.com/todo/scripts/internal/console"
	"example.com/todo/scripts/internal/stack"
	"example.com/todo/scripts/internal/toolchain"
)

// system is the running system: its folder, and the addresses in its stack.env by name.
type system struct {
	dir string
	env map[string]string
}

// startSystem runs the whole system on free ports until the test ends.
func startSystem(t *testing.T, settings ...string) *system {
	t.Helper()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	s := &system{dir: t.TempDir()}
	output, err := os.Create(filepath.Join(s.dir, "output.log"))
	if err != nil {
		t.Fatal(err)
	}
	tools, err := toolchain.New(console.Plain(output), os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	ports, release, err := stack.ResolvePorts(t.Context(), "free", os.Getenv, toolchain.KafkaEmbedded)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- stack.Run(ctx, tools, stack.Settings{
			Root: root, Dir: s.dir, Kafka: toolchain.KafkaEmbedded, Ports: ports, Environ: append(os.Environ(), settings...),
		})
		close(ended)
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the system did not end well: %v", err)
		}
		if t.Failed() {
			text, _ := os.ReadFile(output.Name())
			t.Logf("the end of the system's output:\n%s", text[max(0, len(text)-8000):])
		}
		_ = output.Close()
		release()
	})
	testenv.EventuallyWithin(t, 3*time.Minute, "the system is ready", func() bool {
		select {
		case err := <-ended:
			t.Fatalf("the system ended: %v", err)
		default:
		}
		s.env, err = stack.Env(s.dir)
		return err == nil
	})
	return s
}

// stop stops a part of the system.
func (s *system) stop(t *testing.T, part string) { s.control(t, "stop", part) }

// start starts the part again.
func (s *system) start(t *testing.T, part string) { s.control(t, "start", part) }

func (s *system) control(t *testing.T, verb, part string) {
	t.Helper()
	if err := stack.Control(t.Context(), s.dir, verb, part); err != nil {
		t.Fatalf("%s %s: %v", verb, part, err)
	}
}
