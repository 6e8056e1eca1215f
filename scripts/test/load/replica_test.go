package load

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/todo/scripts/internal/port"
)

// stopLimit bounds the shutdown of a replica.
const stopLimit = 20 * time.Second

// replica is one todo-service that can be restarted on the same ports.
type replica struct {
	program         string
	http, grpc, ops string
	env             []string
	log             string

	cmd   *exec.Cmd
	ended chan error
}

// replica returns a stopped replica. If the test fails, its log is printed.
func (w *fixture) replica(t *testing.T, settings ...string) *replica {
	t.Helper()
	block, err := port.Reserve(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(block.Close)
	r := &replica{
		program: w.program,
		http:    port.Addr(block.Ports[0]), grpc: port.Addr(block.Ports[1]), ops: port.Addr(block.Ports[2]),
		log: filepath.Join(t.TempDir(), "log"),
	}
	r.env = append(append([]string{}, w.env...), "HTTP_ADDR="+r.http, "GRPC_ADDR="+r.grpc, "OPS_ADDR="+r.ops)
	r.env = append(r.env, settings...)
	t.Cleanup(func() {
		if r.cmd != nil {
			_ = r.cmd.Process.Kill()
			<-r.ended
		}
		if log, _ := os.ReadFile(r.log); t.Failed() {
			t.Logf("%s logged at last:\n%s", r.http, log[max(0, len(log)-4000):])
		}
	})
	return r
}

// start runs the replica and waits until it is ready.
func (r *replica) start(t *testing.T) {
	t.Helper()
	log, err := os.OpenFile(r.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	r.cmd = exec.Command(r.program)
	r.cmd.Env, r.cmd.Stderr = r.env, log
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	r.ended = ended
	go func(cmd *exec.Cmd) { ended <- cmd.Wait() }(r.cmd)
	await(t, 30*time.Second, "ready", r.ready)
}

// stop stops the replica and returns the duration and the exit error.
func (r *replica) stop(t *testing.T) (took time.Duration, ended error) {
	t.Helper()
	begun := time.Now()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case ended = <-r.ended:
		r.cmd = nil
	case <-time.After(stopLimit):
		t.Fatalf("not stopped within %v", stopLimit)
	}
	return time.Since(begun), ended
}

func (r *replica) ready() bool {
	resp, err := http.Get("http://" + r.ops + "/readyz")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// metric returns the sum of all series with a prefix.
func (r *replica) metric(t *testing.T, series string) (sum float64) {
	t.Helper()
	resp, err := http.Get("http://" + r.ops + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if !strings.HasPrefix(lines.Text(), series) {
			continue
		}
		var value float64
		text := lines.Bytes()[bytes.LastIndexByte(lines.Bytes(), ' ')+1:]
		if _, err := fmt.Sscan(string(text), &value); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		sum += value
	}
	return sum
}
