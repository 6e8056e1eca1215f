package e2e

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCommandLineClientCreatesAndListsTasks(t *testing.T) {
	run := buildCommandLineClient(t)
	if secure {
		u := system.user(t)
		run(t, u.password, "login", "--http-url", system.url("TODO_HTTP_ADDR", ""), "--email", u.email)
	}
	if out := run(t, ""); !strings.Contains(out, "Learn gRPC") {
		t.Errorf("printed:\n%s", out)
	}
}

// buildCommandLineClient builds grpc-client, with a configuration of its own. run returns what a command has printed.
func buildCommandLineClient(t *testing.T) (run func(t *testing.T, input string, args ...string) string) {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "grpc-client")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/grpc-client")
	build.Dir = "../../../todo-service"
	build.Env = append(build.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	flags := []string{"--addr", system.address("TODO_GRPC_ADDR")}
	if system.tls != nil {
		flags = append(flags, "--ca", system.credential("TLS_CA"))
	}
	return func(t *testing.T, input string, args ...string) string {
		t.Helper()
		var out []byte
		var err error
		repeatWhile(t, func() bool {
			cmd := exec.CommandContext(t.Context(), program, slices.Concat(flags, args)...)
			cmd.Stdin = strings.NewReader(input)
			cmd.Env = append(cmd.Environ(), "XDG_CONFIG_HOME="+dir, "HOME="+dir)
			out, err = cmd.CombinedOutput()
			return err != nil && bytes.Contains(out, []byte("unavailable at the moment"))
		})
		if err != nil {
			t.Fatalf("grpc-client %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
}
