package supervisor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/todo/scripts/internal/proc"
)

const (
	pollInterval     = 50 * time.Millisecond
	probeTimeout     = 2 * time.Second
	reminderInterval = 3 * time.Second
	readyTimeout     = time.Minute
)

// awaitReady polls a started part until it is ready. Under RestartNever the exit of the process and the end
// of readyTimeout are errors; under RestartAlways the wait goes on with the next process until ctx ends.
func (s *Supervisor) awaitReady(ctx context.Context, p *managedPart, process *proc.Process) error {
	began := time.Now()
	s.cfg.Console.Progress("%s: waiting for %s", p.Name(), p.ReadyWhen())
	reminder := time.NewTicker(reminderInterval)
	defer reminder.Stop()
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	var exited <-chan struct{}
	if s.cfg.Restart == RestartNever {
		exited = process.Done()
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("not ready after %s", readyTimeout))
		defer cancel()
	}
	for {
		err := s.checkReady(ctx, p)
		if err == nil {
			s.cfg.Console.Progress("%s: ready after %s", p.Name(), round(time.Since(began)))
			return nil
		}
		select {
		case <-exited:
			return s.unexpected(p, process)
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w; the last error: %w", p.Name(), context.Cause(ctx), err)
		case <-reminder.C:
			s.cfg.Console.Progress("%s: still waiting for %s (%s): %v", p.Name(), p.ReadyWhen(), round(time.Since(began)), err)
		case <-poll.C:
		}
	}
}

// CheckReady returns nil if a part is ready, otherwise the reason.
func (s *Supervisor) CheckReady(ctx context.Context, name string) error {
	p, err := s.find(name)
	if err != nil {
		return err
	}
	return s.checkReady(ctx, p)
}

// checkReady probes the part, unless no process runs: another process may answer on its port.
func (s *Supervisor) checkReady(ctx context.Context, p *managedPart) error {
	if s.PID(p.Name()) == 0 {
		return errors.New("no process runs")
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return p.Ready(ctx)
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
