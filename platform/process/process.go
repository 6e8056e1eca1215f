// Package process decides what ends a process from outside: the signals that tell
// it to stop, and that an output which cannot be written is none of them.
package process

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Context returns a context that ends with the first of the signals Stops. From
// then on, and for the rest of the process, a write to a standard output or error
// that nothing reads any more is an error of that write; by default SIGPIPE ends the
// process. main calls it once, before anything is written.
func Context() (context.Context, context.CancelFunc) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // signal.Ignore would hold in child processes too
	return signal.NotifyContext(context.Background(), StopSignals()...)
}

// StopSignals returns the signals that tell this process to stop. A process that was
// started with SIGHUP ignored, as nohup does, goes on ignoring it: this holds when
// Stops is called before the signal is asked for.
func StopSignals() []os.Signal {
	all := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		all = append(all, syscall.SIGHUP)
	}
	return all
}

// Output returns a writer to w, the standard output of a command, whose errors
// IsBrokenPipe knows.
func Output(w io.Writer) io.Writer { return outputWriter{w} }

// IsBrokenPipe says whether err comes from a write to an Output that nothing reads
// any more, as in "list | head -1". A command then ends at once and without a
// word: its reader has had enough.
func IsBrokenPipe(err error) bool {
	var left *brokenPipeError
	return errors.As(err, &left)
}

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
