package supervisor

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	pollInterval     = 50 * time.Millisecond
	probeTimeout     = 2 * time.Second
	reminderInterval = 3 * time.Second
	readyTimeout     = time.Minute
)

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
