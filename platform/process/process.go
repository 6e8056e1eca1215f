// Package process implements signal handling and broken-pipe handling of a process:
// stop signals end a context, and a failed write to an output does not end the process.
package process

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Context returns a context that ends with the first stop signal. After the call, and
// for the rest of the process, a write to a broken standard output or error returns
// EPIPE; by default SIGPIPE ends the process. main calls it once, before any output.
func Context() (context.Context, context.CancelFunc) {
	// signal.Ignore would be inherited by child processes.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	return signal.NotifyContext(context.Background(), StopSignals()...)
}

// StopSignals returns the signals that stop this process: SIGINT, SIGTERM, and SIGHUP
// unless the process was started with SIGHUP ignored, as nohup does. Call it before
// signal.Notify for SIGHUP, which ends the ignoring.
func StopSignals() []os.Signal {
	all := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		all = append(all, syscall.SIGHUP)
	}
	return all
}

// Output returns a writer to w, the standard output of a command. IsBrokenPipe recognizes
// its errors.
func Output(w io.Writer) io.Writer { return outputWriter{w} }

// IsBrokenPipe reports whether err is from a write to an Output whose reader has closed
// the pipe, as in "list | head -1". The command then exits without an error message.
func IsBrokenPipe(err error) bool { return errors.As(err, new(*brokenPipeError)) }

type outputWriter struct{ w io.Writer }

func (o outputWriter) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		err = &brokenPipeError{err}
	}
	return n, err
}

type brokenPipeError struct{ error }

func (e *brokenPipeError) Unwrap() error { return e.error }
