package proc

import (
	"cmp"
	"io"
	"os/exec"
	"syscall"
	"time"
)

// pipeTimeout is how long a grandchild may hold an output pipe open after the program's exit.
const pipeTimeout = time.Second

// Command describes a program to start.
type Command struct {
	Path string
	Args []string // without the program's own name
	Env  []string // the whole environment; nil inherits
	Dir  string
	As   *Account // nil: the caller's

	Stdin          io.Reader
	Stdout, Stderr io.Writer

	// Stop is the signal of Process.Stop; 0 is SIGTERM.
	Stop syscall.Signal
	// Orphaned is the signal that the program receives when this process dies first (Linux only); 0 is
	// SIGKILL.
	Orphaned syscall.Signal
	// Shared keeps the program in the caller's process group: it receives the terminal's Ctrl-C and may read
	// the terminal. Otherwise the program leads its own group.
	Shared bool
}

func (c Command) build() *exec.Cmd {
	cmd := exec.Command(c.Path, c.Args...) //nolint:noctx // Process.Stop ends it, with the command's own signal
	cmd.Env = c.Env
	cmd.Dir = c.Dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Stdout, c.Stderr
	cmd.WaitDelay = pipeTimeout
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: !c.Shared, Credential: (*syscall.Credential)(c.As)}
	setOrphanSignal(cmd.SysProcAttr, cmp.Or(c.Orphaned, syscall.SIGKILL))
	return cmd
}
