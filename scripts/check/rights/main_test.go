package rights

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"example.com/todo/scripts/internal/console"
	"example.com/todo/scripts/internal/localca"
	"example.com/todo/scripts/internal/port"
	"example.com/todo/scripts/internal/server"
	"example.com/todo/scripts/internal/supervisor"
	"example.com/todo/scripts/internal/toolchain"
)

const (
	todo         = "todo-service"
	stats        = "stats-service"
	notification = "notification-service"
	root         = "../../.." // of the repository
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

// environment is what a server of a test is made with.
type environment struct {
	tools    toolchain.Tools
	dir      string
	ports    []int
	security *server.Security
}

// newEnvironment returns the environment of a server whose users have the rights in a file of compose.
func newEnvironment(t *testing.T, rules string, users ...string) environment {
	t.Helper()
	tools, err := toolchain.New(console.Plain(t.Output()), os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	ports, err := port.Reserve(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ports.Close)
	dir, err := os.MkdirTemp("", "rights-test-") //nolint:usetesting // the account of PostgreSQL can enter it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = toolchain.RemoveData(dir) })
	files, err := localca.Ensure(filepath.Join(dir, "tls"), time.Now())
	if err := errors.Join(err, os.Chmod(dir, 0o711)); err != nil {
		t.Fatal(err)
	}
	made := &server.Security{
		Cert: files.Server.Cert, Key: files.Server.Key, CA: files.CA, Rules: filepath.Join(root, "compose", rules),
		Operator: server.Account{Name: "admin", Password: rand.Text()},
	}
	for _, user := range users {
		made.Users = append(made.Users, server.Account{Name: user, Password: rand.Text()})
	}
	return environment{tools: tools, dir: dir, ports: ports.Ports, security: made}
}

// start runs the part until the test ends.
func (e environment) start(t *testing.T, part supervisor.Part) {
	t.Helper()
	parts := supervisor.New(supervisor.Config{Launcher: e.tools.Launcher, Console: e.tools.Console, LogDir: t.TempDir(), StopTimeout: 20 * time.Second}, part)
	t.Cleanup(func() {
		if err := parts.StopAll(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := parts.StartAll(t.Context()); err != nil {
		t.Fatal(err)
	}
}
