package runner

import (
	"context"
	"time"
)

const (
	minRate          = 10.0 // changes a second, while faults are still to come
	reservedFraction = 0.03 // of the changes, for faults that take longer than was thought
)

// rate spreads the changes over the faults that are still to come, so that each of them meets work;
// afterwards the rest is done as fast as possible.
func (t *experiment) rate() float64 {
	left := t.injector.Remaining(t.Scenario)
	if left == 0 {
		return 0
	}
	changes := float64(t.plannedCalls()-t.workload.Finished()) - reservedFraction*float64(t.plannedCalls())
	return max(minRate, changes/left.Seconds())
}

// backlog is how many events were committed and are not in effect yet: not in Kafka, or not notified, or
// not counted when stats is meant. While the database is away it is what was known of it last.
func (t *experiment) backlog(ctx context.Context, stats bool) int {
	seen := t.webhooks.AcceptedKeys()
	if stats {
		n, err := t.probe.CountedCompletions(ctx)
		if err != nil {
			return 0 // nobody can tell
		}
		seen = int(n)
	}
	p, err := t.probe.Progress(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.lastProgress = p
	}
	return max(0, int(t.lastProgress.Completed)-seen, int(t.lastProgress.UnsentKafka))
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// plannedCalls is how many the clients make for so many changes: every ninth or so finds
// nothing to change, or is refused.
func (t *experiment) plannedCalls() int { return t.Scenario.Changes + t.Scenario.Changes/7 }
