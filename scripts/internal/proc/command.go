package proc

import (
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// pipeTimeout is how long a pipe may stay open after the program has ended, held by a grandchild.
const pipeTimeout = time.Second

// Command describes a program to start.
type Command struct {
	Path string
	Args []string // without the program's own name
	Env  []string // the whole environment; nil inherits
	Dir  string
	As   *Account // nil: the caller's own

	Stdin          io.Reader
	Stdout, Stderr io.Writer

	// Stop asks the program to end; SIGTERM when zero.
	Stop syscall.Signal
	// Orphaned is what the program gets when this process dies without stopping it (Linux only);
	// SIGKILL when zero.
	Orphaned syscall.Signal
	// Shared leaves the program in the caller's process group, so that the terminal's Ctrl-C reaches
	// it and it may read the terminal. Otherwise it leads a group of its own.
	Shared bool
}

// Environ returns the environment of the program.
func (c Command) Environ() []string {
	if c.Env == nil {
		return os.Environ()
	}
	return c.Env
}

func (c Command) build() *exec.Cmd {
	cmd := exec.Command(c.Path, c.Args...) //nolint:noctx // Process.Stop ends it, with a signal of its own choice
	cmd.Env = c.Env
	cmd.Dir = c.Dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Stdout, c.Stderr
	cmd.WaitDelay = pipeTimeout
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: !c.Shared, Credential: c.As.credential()}
	orphan := c.Orphaned
	if orphan == 0 {
		orphan = syscall.SIGKILL
	}
	setOrphanSignal(cmd.SysProcAttr, orphan)
	return cmd
}

func (c Command) stopSignal() syscall.Signal {
	if c.Stop == 0 {
		return syscall.SIGTERM
	}
	return c.Stop
}
