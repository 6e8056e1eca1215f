package proc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Process is a started program. Its methods are safe for concurrent use.
type Process struct {
	cmd     *exec.Cmd
	command Command
	done    chan struct{}
	err     error
}

func newProcess(cmd *exec.Cmd, from Command) *Process {
	p := &Process{cmd: cmd, command: from, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		p.killGroup()
		close(p.done)
	}()
	return p
}

// PID returns the program's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the program has exited and was reaped.
func (p *Process) Done() <-chan struct{} { return p.done }

// Status describes, after Done, the end of the program: "exit status 0", "signal: killed", ….
func (p *Process) Status() string { return p.cmd.ProcessState.String() }

// ExitCode returns, after Done, the exit code; after a signal 128 plus its number, as shells do.
func (p *Process) ExitCode() int {
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return p.cmd.ProcessState.ExitCode()
}

// Signal sends s to the program, not to its children. After the exit it does nothing.
func (p *Process) Signal(s syscall.Signal) {
	_ = p.cmd.Process.Signal(s) // the only possible error is that it has exited
}

// Wait returns nil after the exit. If ctx ends first, it stops the program, kills it after the timeout, and
// returns the cause of ctx.
func (p *Process) Wait(ctx context.Context, stopTimeout time.Duration) error {
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	_ = p.Stop(limit) // the caller gets the cause of the cancellation instead
	return context.Cause(ctx)
}

// ErrKilled means that a program ignored the stop signal and was killed.
var ErrKilled = errors.New("did not stop in time and was killed")

// Stop sends the stop signal and returns after the exit. If ctx ends first, it kills the program and its
// process group and returns ErrKilled.
func (p *Process) Stop(ctx context.Context) error {
	p.Signal(cmp.Or(p.command.Stop, syscall.SIGTERM))
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	}
	p.Signal(syscall.SIGKILL)
	p.killGroup()
	<-p.done
	return ErrKilled
}

// killGroup kills the remaining processes of the program's own group.
func (p *Process) killGroup() {
	if !p.command.Shared {
		_ = syscall.Kill(-p.PID(), syscall.SIGKILL) // usually the group is empty
	}
}

// Descendants returns the process ids of the children of pid and of their children, in any process group.
// Without /proc the result is empty.
func Descendants(pid int) []int {
	var all []int
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid)) // after the exit there is no such folder
	for _, task := range tasks {
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		for _, field := range strings.Fields(string(children)) {
			if child, err := strconv.Atoi(field); err == nil {
				all = append(append(all, child), Descendants(child)...)
			}
		}
	}
	return all
}
