package main

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/todo/platform/testenv"
	"example.com/todo/scripts/internal/console"
)

const (
	// startTimeout is long enough for a JVM on a busy machine.
	startTimeout = 2 * time.Minute
	// stopTimeout is how long a program may take to end, as in the compose files.
	stopTimeout = 10 * time.Second
)

// hardened has the options that take everything from a container that its program does not need, as the compose files
// do. unprivileged leaves it a writable root.
var (
	hardened     = []string{"--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"}
	unprivileged = hardened[1:]
)

// requireImages makes images available to the Docker engine, or skips the test where no engine is to be used.
func requireImages(t *testing.T, images ...string) docker {
	t.Helper()
	if os.Getenv("E2E_SYSTEM") != "compose" {
		t.Skip("the images are run by make test-compose, which needs a Docker engine")
	}
	d := newDocker(os.Getenv)
	p, err := newProvider(t.Context(), console.Plain(os.Stderr), os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	results, err := p.provide(t.Context(), images)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.from == notAvailable {
			t.Fatalf("%s: %s", r.image, r.detail)
		}
		t.Logf("%s: %s, %s", r.image, r.from, r.detail)
	}
	return d
}

// container is a running container, which is removed when the test ends.
type container struct {
	t    *testing.T
	d    docker
	name string
}

var created atomic.Int32

// uniqueName returns a name for a container, network or image of this test run.
func uniqueName() string {
	return fmt.Sprintf("todo-images-%d-%d", os.Getpid(), created.Add(1))
}

// newNetwork creates a network, on which containers find each other by name.
func newNetwork(t *testing.T, d docker) string {
	t.Helper()
	name := uniqueName()
	mustRun(t, d, "network", "create", name)
	t.Cleanup(func() { cleanUp(t, d, "network", "rm", name) })
	return name
}

// start runs an image in the background. options are those of docker run.
func start(t *testing.T, d docker, image string, options []string, command ...string) *container {
	t.Helper()
	c := &container{t: t, d: d, name: uniqueName()}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log of %s:\n%s", image, c.logs())
		}
		cleanUp(t, d, "rm", "--force", "--volumes", c.name)
	})
	args := slices.Concat([]string{"run", "--detach", "--name", c.name}, options, []string{image}, command)
	mustRun(t, d, args...)
	return c
}

// cleanUp runs a docker command after the test, whose own context has ended then.
func cleanUp(t *testing.T, d docker, args ...string) {
	t.Helper()
	if _, err := d.run(context.WithoutCancel(t.Context()), args...); err != nil {
		t.Error(err)
	}
}

func mustRun(t *testing.T, d docker, args ...string) string {
	t.Helper()
	out, err := d.run(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// exec runs a command in the container.
func (c *container) exec(command ...string) string {
	c.t.Helper()
	return mustRun(c.t, c.d, append([]string{"exec", c.name}, command...)...)
}

// waitUntil waits until a health check's command succeeds in the container.
func (c *container) waitUntil(command ...string) {
	c.t.Helper()
	var last error
	defer func() {
		if last != nil {
			c.t.Log(last)
		}
	}()
	testenv.EventuallyWithin(c.t, startTimeout, strings.Join(command, " "), func() bool {
		_, last = c.d.run(c.t.Context(), append([]string{"exec", c.name}, command...)...)
		if last != nil && strings.Contains(last.Error(), "is not running") {
			c.t.Fatalf("the container ended with exit code %s", c.exitCode())
		}
		return last == nil
	})
}

// stop stops the container. Docker kills a program that has not ended after stopTimeout, which its exit code tells.
func (c *container) stop() {
	c.t.Helper()
	mustRun(c.t, c.d, "stop", "--time", fmt.Sprint(stopTimeout.Seconds()), c.name)
	if code := c.exitCode(); code != "0" && code != "143" {
		c.t.Errorf("the exit code after a stop is %s, want 0 or 143", code)
	}
}

// logs returns what the container printed, on both outputs.
func (c *container) logs() string {
	c.t.Helper()
	printed, err := exec.Command(c.d.program, "logs", "--tail", "25", c.name).CombinedOutput()
	if err != nil {
		c.t.Error(err)
	}
	return string(printed)
}

func (c *container) exitCode() string {
	c.t.Helper()
	return mustRun(c.t, c.d, "inspect", "--format", "{{.State.ExitCode}}", c.name)
}

// restart stops and starts the container.
func (c *container) restart() {
	c.t.Helper()
	c.stop()
	mustRun(c.t, c.d, "start", c.name)
}

// checkUser checks the user that the container's first process runs as.
func (c *container) checkUser(uid string) {
	c.t.Helper()
	status := c.exec("sh", "-c", "grep ^Uid: /proc/1/status")
	if got := strings.Fields(status); got[1] != uid {
		c.t.Errorf("the program runs as user %s, want %s", got[1], uid)
	}
}

// writeFiles writes files that a container of any user can read, and returns their folder.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != filepath.Clean(os.TempDir()) && d != filepath.Dir(d); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	writeFilesTo(t, dir, files)
	return dir
}

// writeFilesTo writes files into a folder, which it creates if needed.
func writeFilesTo(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// tarOf packs files as a build context.
func tarOf(t *testing.T, files map[string]string) *bytes.Buffer {
	t.Helper()
	var packed bytes.Buffer
	archive := tar.NewWriter(&packed)
	for name, content := range files {
		if err := addContent(archive, name, []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return &packed
}
