package load

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// long selects the promised numbers instead of those that fit into make test. Only then do durations count:
// tests in parallel would distort them.
var long = flag.Bool("long", false, "run the tests in full: minutes instead of seconds")

// program builds todo-service on the first call.
var program = sync.OnceValues(build)

var folder string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if folder, err = os.MkdirTemp("", "todo-load-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	return m.Run()
}

func build() (string, error) {
	path := filepath.Join(folder, "todo-service")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/todo-service")
	cmd.Dir = filepath.Join("..", "..", "..", "todo-service")
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building todo-service: %w\n%s", err, out)
	}
	return path, nil
}
