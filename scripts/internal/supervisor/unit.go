package supervisor

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"example.com/todo/scripts/internal/proc"
)

var (
	// ErrUnchanged means that the part is in the requested state already.
	ErrUnchanged = errors.New("nothing to do")

	errStopped = errors.New("the part was stopped")
)

// Unit is a part under supervision. Its methods are safe for concurrent use.
type Unit struct {
	Part
	cfg   Config
	exits chan<- *UnexpectedExit // nil without a Supervisor

	mu     sync.Mutex
	closed bool
	run    *run // nil: the part is stopped
}

// NewUnit returns a Unit for a part that does not run yet.
func NewUnit(cfg Config, p Part) *Unit { return &Unit{Part: p, cfg: cfg} }

// PID returns the id of the part's process, or 0 if none runs.
func (u *Unit) PID() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.run == nil || u.run.process == nil {
		return 0
	}
	return u.run.process.PID()
}

// Launch starts the part and does not wait. With Config.Restart it is tried until it succeeds. ErrUnchanged:
// the part runs already.
func (u *Unit) Launch() error {
	_, err := u.launch()
	return err
}

// Start starts the part and returns when it is ready. ErrUnchanged: it runs already; *UnexpectedExit: it
// exited before it was ready. At the end of ctx Start returns, and the part goes on.
func (u *Unit) Start(ctx context.Context) error {
	run, err := u.launch()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("not ready after %s", readyTimeout))
	defer cancel()
	return u.awaitReady(ctx, run.ctx)
}

func (u *Unit) launch() (*run, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.closed:
		return nil, fmt.Errorf("start %s: %w", u.Name, errStopped)
	case u.run != nil:
		return nil, fmt.Errorf("%w: %s runs already", ErrUnchanged, u.Name)
	}
	u.run = newRun()
	go u.supervise(u.run)
	return u.run, nil
}

// Stop stops the part. ErrUnchanged: it does not run; proc.ErrKilled: it did not stop within StopTimeout and
// was killed.
func (u *Unit) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, u.cfg.StopTimeout)
	defer cancel()
	run, process := u.endRun()
	if run == nil {
		return fmt.Errorf("%w: %s does not run", ErrUnchanged, u.Name)
	}
	began := time.Now()
	var err error
	if process != nil {
		// A process that SIGSTOP suspended would not handle the stop signal.
		signalTree(process, syscall.SIGCONT)
		err = process.Stop(ctx)
	}
	<-run.done
	if err != nil {
		return fmt.Errorf("%s %w", u.Name, err)
	}
	u.cfg.Console.Progress("%s: stopped after %s", u.Name, round(time.Since(began)))
	return nil
}

// Close stops the part for good, if it runs. Afterwards every OnExit has returned.
func (u *Unit) Close(ctx context.Context) error {
	u.mu.Lock()
	u.closed = true
	u.mu.Unlock()
	if err := u.Stop(ctx); !errors.Is(err, ErrUnchanged) {
		return err
	}
	return nil
}

// Kill ends the process and its descendants by SIGKILL, and returns after the exit. Without a process it does
// nothing. With Config.Restart the part starts again.
func (u *Unit) Kill() {
	u.mu.Lock()
	var process *proc.Process
	if u.run != nil && u.run.process != nil {
		process, u.run.requested = u.run.process, true
	}
	u.mu.Unlock()
	kill(process)
}

// Halt kills the part as Kill does, and keeps it from running until the next start.
func (u *Unit) Halt() {
	run, process := u.endRun()
	kill(process)
	if run != nil {
		<-run.done
	}
}

// endRun ends the run, if there is one, and returns it with its process. The caller ends the process.
func (u *Unit) endRun() (*run, *proc.Process) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.run == nil {
		return nil, nil
	}
	u.run.requested = true
	u.run.end(errStopped)
	return u.run, u.run.process
}

func kill(process *proc.Process) {
	if process != nil {
		signalTree(process, syscall.SIGKILL)
		<-process.Done()
	}
}

// Signal sends a signal to the process and to its descendants, if a process runs.
func (u *Unit) Signal(signal syscall.Signal) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.run != nil && u.run.process != nil {
		signalTree(u.run.process, signal)
	}
}

// signalTree signals the process first: it must not replace its children meanwhile.
func signalTree(process *proc.Process, signal syscall.Signal) {
	children := proc.Descendants(process.PID())
	process.Signal(signal)
	for _, child := range append(children, proc.Descendants(process.PID())...) {
		_ = syscall.Kill(child, signal) // it may have exited
	}
}

func (u *Unit) logPath() string { return filepath.Join(u.cfg.LogDir, u.Name+".log") }
