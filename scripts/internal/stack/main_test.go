package stack

import (
	"fmt"
	"io"
	"os"
	"sync"
	"testing"

	"example.com/todo/scripts/internal/console"
	"example.com/todo/scripts/internal/server"
	"example.com/todo/scripts/internal/toolchain"
)

// TestMain lets the test's own program be the embedded Kafka, as devstack is.
func TestMain(m *testing.M) {
	switch isBroker, err := server.RunIfBroker(); {
	case !isBroker:
		m.Run()
	case err != nil:
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
