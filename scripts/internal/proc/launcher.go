// Package proc manages child processes: it starts programs that do not outlive this process, and stops them.
package proc

import (
	"os/exec"
	"runtime"
)

// Launcher starts every child from one thread that lives as long as this process.
type Launcher struct {
	requests chan startRequest
}

type startRequest struct {
	cmd    *exec.Cmd
	result chan error
}

// NewLauncher returns a Launcher. Its thread ends with the process.
func NewLauncher() *Launcher {
	l := &Launcher{requests: make(chan startRequest)}
	go func() {
		// Linux sends a child its parent death signal when the thread that forked it ends, not the process.
		// The Go scheduler may end any thread that is not locked.
		runtime.LockOSThread()
		for s := range l.requests {
			s.result <- s.cmd.Start()
		}
	}()
	return l
}

// Start starts a program. An error means that no process was started.
func (l *Launcher) Start(c Command) (*Process, error) {
	cmd := c.build()
	result := make(chan error, 1)
	l.requests <- startRequest{cmd: cmd, result: result}
	if err := <-result; err != nil {
		return nil, err
	}
	return newProcess(cmd, c), nil
}
