package stack

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/todo/scripts/internal/console"
	"example.com/todo/scripts/internal/server"
	"example.com/todo/scripts/internal/toolchain"
)

// TestMain lets the test's own program be the embedded Kafka, as devstack is.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 || os.Args[1] != "kafka-embedded" {
		m.Run()
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := server.RunEmbeddedKafka(ctx, os.Args[3], os.Args[5]); err != nil {
		fmt.Println(err)
	}
}

// testTools prints progress to w.
func testTools(t *testing.T, w io.Writer) toolchain.Tools {
	t.Helper()
	tools, err := toolchain.New(console.Plain(w), os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	return tools
}

// output collects a console's text, from several goroutines.
type output struct {
	mu   sync.Mutex
	text []byte
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, p...)
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}

// soon waits until a condition holds and fails the test after a minute.
func soon(t *testing.T, what string, holds func() bool) {
	t.Helper()
	limit := time.After(time.Minute)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-limit:
			t.Fatalf("timeout waiting until %s", what)
		case <-again.C:
		}
	}
}
