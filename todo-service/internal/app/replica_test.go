package app

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"example.com/todo/platform/process/processtest"
	"example.com/todo/platform/testenv"
)

// replica is a process of the service that is restarted whenever it exits.
type replica struct {
	http, grpc, ops string
	command         func() *exec.Cmd

	mu      sync.Mutex
	process *os.Process
	closed  bool
	log     bytes.Buffer
	ended   chan struct{}
}

// runReplica runs the service with this environment until the test ends.
func runReplica(t *testing.T, env ...string) *replica {
	t.Helper()
	r := &replica{http: testenv.FreeAddr(t), grpc: testenv.FreeAddr(t), ops: testenv.FreeAddr(t), ended: make(chan struct{})}
	r.command = func() *exec.Cmd {
		return processtest.Command(append(env, "HTTP_ADDR="+r.http, "GRPC_ADDR="+r.grpc, "OPS_ADDR="+r.ops))
	}
	go r.runUntilClosed()
	t.Cleanup(func() {
		r.mu.Lock()
		r.closed = true
		if r.process != nil {
			_ = r.process.Kill()
		}
		r.mu.Unlock()
		<-r.ended
		if t.Failed() {
			t.Logf("the end of the log of %s:\n%s", r.http, r.log.Bytes()[max(0, r.log.Len()-4096):])
		}
	})
	testenv.Eventually(t, "a replica is ready", r.ready)
	return r
}

func (r *replica) ready() bool { return getStatus("http://"+r.ops+"/readyz") == http.StatusOK }

func (r *replica) runUntilClosed() {
	defer close(r.ended)
	for {
		cmd := r.command()
		cmd.Stdout, cmd.Stderr = &r.log, &r.log
		r.mu.Lock()
		if r.closed {
			r.mu.Unlock()
			return
		}
		err := cmd.Start()
		if err == nil {
			r.process = cmd.Process
		}
		r.mu.Unlock()
		if err == nil {
			_ = cmd.Wait()
		}
		<-time.After(50 * time.Millisecond)
	}
}

// kill sends SIGKILL.
func (r *replica) kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.process.Kill()
}
