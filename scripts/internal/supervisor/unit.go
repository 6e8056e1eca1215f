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

const (
	pollInterval     = 50 * time.Millisecond
	probeTimeout     = 2 * time.Second
	reminderInterval = 3 * time.Second
	readyTimeout     = 2 * time.Minute
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

	mu        sync.Mutex
	closed    bool
	run       *run          // nil: the part is stopped
	process   *proc.Process // nil also between two processes of a run
	requested bool          // the caller ends the process
}

// NewUnit returns a Unit for a part that does not run yet.
func NewUnit(cfg Config, p Part) *Unit { return &Unit{Part: p, cfg: cfg} }

// PID returns the id of the part's process, or 0 if none runs.
func (u *Unit) PID() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.process == nil {
		return 0
	}
	return u.process.PID()
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
	err = u.awaitReady(ctx, run.ctx)
	if run.ctx.Err() != nil { // the part can be started again at once
		<-run.done
	}
	return err
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
	u.run = &run{done: make(chan struct{})}
	u.run.ctx, u.run.end = context.WithCancelCause(context.Background())
	go u.supervise(u.run)
	return u.run, nil
}

// AwaitReady returns when the part is ready, whichever process that is, or with an error when ctx ends.
func (u *Unit) AwaitReady(ctx context.Context) error {
	return u.awaitReady(ctx, context.Background())
}

// awaitReady polls the part until it is ready, or until ctx or the run ends.
func (u *Unit) awaitReady(ctx, run context.Context) error {
	began := time.Now()
	u.cfg.Console.Progress("%s: waiting for %s", u.Name, u.ReadyWhen)
	reminder := time.NewTicker(reminderInterval)
	defer reminder.Stop()
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		err := u.CheckReady(ctx)
		if err == nil {
			u.cfg.Console.Progress("%s: ready after %s", u.Name, round(time.Since(began)))
			return nil
		}
		select {
		case <-run.Done():
			return context.Cause(run)
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w; the last error: %w", u.Name, context.Cause(ctx), err)
		case <-reminder.C:
			u.cfg.Console.Progress("%s: still waiting for %s (%s): %v", u.Name, u.ReadyWhen, round(time.Since(began)), err)
		case <-poll.C:
		}
	}
}

// CheckReady returns nil if the part is ready, otherwise the reason. It does not probe a part without a
// process: another process may answer on its port.
func (u *Unit) CheckReady(ctx context.Context) error {
	if u.PID() == 0 {
		return errors.New("no process runs")
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return u.Ready(ctx)
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }

// Stop stops the part. ErrUnchanged: it does not run; proc.ErrKilled: it did not stop within StopTimeout and
// was killed.
func (u *Unit) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, u.cfg.StopTimeout)
	defer cancel()
	run, process := u.requestExit(true)
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
func (u *Unit) Kill() { u.kill(false) }

// Halt kills the part as Kill does, and keeps it from running until the next start.
func (u *Unit) Halt() { u.kill(true) }

func (u *Unit) kill(hold bool) {
	run, process := u.requestExit(hold)
	if process != nil {
		signalTree(process, syscall.SIGKILL)
		<-process.Done()
	}
	if hold && run != nil {
		<-run.done
	}
}

// requestExit returns the run and the process, which the caller ends. With hold no process follows.
func (u *Unit) requestExit(hold bool) (*run, *proc.Process) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.requested = true
	if hold && u.run != nil {
		u.run.end(errStopped)
	}
	return u.run, u.process
}

// Signal sends a signal to the process and to its descendants, if a process runs.
func (u *Unit) Signal(signal syscall.Signal) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.process != nil {
		signalTree(u.process, signal)
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
