package proc

import (
	"context"
	"errors"
	"os/exec"
	"syscall"
)

// Process is a program that was started. Its methods may be called from several goroutines.
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

// Done is closed when the program has ended and was reaped.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err tells, after Done, how the program ended: nil for exit code 0.
func (p *Process) Err() error { return p.err }

// ExitCode returns, after Done, the exit code, and 128 plus the signal's number for a program that a
// signal ended, as shells do.
func (p *Process) ExitCode() int {
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return p.cmd.ProcessState.ExitCode()
}

// Signal sends s to the program alone; one that has ended is no error.
func (p *Process) Signal(s syscall.Signal) {
	_ = p.cmd.Process.Signal(s) // the only possible failure is that it has ended
}

// ErrKilled says that a program did not end when asked and was killed.
var ErrKilled = errors.New("did not stop in time and was killed")

// Stop asks the program to end and waits for it. When ctx ends first, the program and its process
// group are killed, and the error is ErrKilled.
func (p *Process) Stop(ctx context.Context) error {
	p.Signal(p.command.stopSignal())
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

// killGroup kills what is left of the program's own process group.
func (p *Process) killGroup() {
	if !p.command.Shared {
		_ = syscall.Kill(-p.PID(), syscall.SIGKILL) // an empty group is the usual case
	}
}
