// Package proc starts programs as children that do not outlive their parent, and stops them.
package proc

import (
	"os/exec"
	"runtime"
)

// Launcher starts every child from one thread that lives as long as the program.
//
// Linux sends a child its death signal when the thread that forked it ends, not the process; a
// thread that the Go scheduler may retire would take its children along.
type Launcher struct {
	requests chan startRequest
}

type startRequest struct {
	cmd    *exec.Cmd
	result chan error
}

// NewLauncher returns a Launcher. It is never closed: its thread ends with the program.
func NewLauncher() *Launcher {
	l := &Launcher{requests: make(chan startRequest)}
	go func() {
		runtime.LockOSThread()
		for s := range l.requests {
			s.result <- s.cmd.Start()
		}
	}()
	return l
}

// Start starts the program that c describes. The error says that it could not be started at all.
func (l *Launcher) Start(c Command) (*Process, error) {
	cmd := c.build()
	result := make(chan error, 1)
	l.requests <- startRequest{cmd: cmd, result: result}
	if err := <-result; err != nil {
		return nil, err
	}
	return newProcess(cmd, c), nil
}
