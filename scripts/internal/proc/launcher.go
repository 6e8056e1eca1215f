// Package proc manages child processes: it starts programs that do not outlive this process, and stops them.
package proc

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"
)

// stopTimeout bounds the shutdown of a program whose Run is cancelled; then it is killed.
const stopTimeout = 2 * time.Second

// Launcher starts every child from one thread that lives as long as this process.
type Launcher struct {
	starts chan func()
}

// NewLauncher returns a Launcher. Its thread ends with the process.
func NewLauncher() *Launcher {
	l := &Launcher{starts: make(chan func())}
	go func() {
		// Linux sends a child its parent death signal when the thread that forked it ends, not the process.
		// The Go scheduler may end any thread that is not locked.
		runtime.LockOSThread()
		for start := range l.starts {
			start()
		}
	}()
	return l
}

// Start starts a program. An error means that no process was started.
func (l *Launcher) Start(c Command) (*Process, error) {
	cmd := c.build()
	result := make(chan error, 1)
	l.starts <- func() { result <- cmd.Start() }
	if err := <-result; err != nil {
		return nil, err
	}
	return newProcess(cmd, c), nil
}

// Run starts a program and returns after its exit. If ctx ends first, it stops the program and returns the
// cause of ctx. The error of a command without a Stdout contains its output.
func (l *Launcher) Run(ctx context.Context, c Command) error {
	var output bytes.Buffer
	if c.Stdout == nil {
		c.Stdout, c.Stderr = &output, &output
	}
	p, err := l.Start(c)
	if err != nil {
		return err
	}
	if err := p.Wait(ctx, stopTimeout); err != nil {
		return err
	}
	if p.err != nil {
		return fmt.Errorf("%s: %w\n%s", c.Path, p.err, strings.TrimSpace(output.String()))
	}
	return nil
}
