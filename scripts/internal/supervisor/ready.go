package supervisor

import (
	"context"
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

// awaitReady asks a part that was started whether it serves, until it does.
func (s *Supervisor) awaitReady(ctx context.Context, p *managedPart, process *proc.Process) error {
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("not ready after %s", readyTimeout))
	defer cancel()
	s.cfg.Console.Progress("%s: waiting for %s", p.Name(), p.ReadyWhen())
	remind := time.NewTicker(reminderInterval)
	defer remind.Stop()
	again := time.NewTicker(pollInterval)
	defer again.Stop()
	for {
		err := checkReady(ctx, p)
		if err == nil {
			s.cfg.Console.Progress("%s: ready after %s", p.Name(), round(time.Since(began)))
			return nil
		}
		select {
		case <-process.Done():
			return s.newExit(p, process)
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w; the last answer: %w", p.Name(), context.Cause(ctx), err)
		case <-remind.C:
			s.cfg.Console.Progress("%s: still waiting for %s (%s): %v", p.Name(), p.ReadyWhen(), round(time.Since(began)), err)
		case <-again.C:
		}
	}
}

func checkReady(ctx context.Context, p Part) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return p.Ready(ctx)
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
