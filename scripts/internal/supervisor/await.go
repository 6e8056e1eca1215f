package supervisor

import (
	"context"
	"fmt"
	"time"

	"example.com/todo/scripts/internal/proc"
)

const (
	askEvery   = 50 * time.Millisecond
	askLimit   = 2 * time.Second
	remindFrom = 3 * time.Second
	readyLimit = time.Minute
)

// await asks a part that was started whether it serves, until it does.
func (s *Supervisor) await(ctx context.Context, p *slot, process *proc.Process) error {
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, readyLimit, fmt.Errorf("not ready after %s", readyLimit))
	defer cancel()
	s.cfg.Console.Say("%s: waiting for %s", p.Name(), p.Awaits())
	remind := time.NewTicker(remindFrom)
	defer remind.Stop()
	again := time.NewTicker(askEvery)
	defer again.Stop()
	for {
		err := ask(ctx, p)
		if err == nil {
			s.cfg.Console.Say("%s: ready after %s", p.Name(), round(time.Since(began)))
			return nil
		}
		select {
		case <-process.Done():
			return s.death(p, process)
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w; the last answer: %w", p.Name(), context.Cause(ctx), err)
		case <-remind.C:
			s.cfg.Console.Say("%s: still waiting for %s (%s): %v", p.Name(), p.Awaits(), round(time.Since(began)), err)
		case <-again.C:
		}
	}
}

func ask(ctx context.Context, p Part) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	return p.Ready(ctx)
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
