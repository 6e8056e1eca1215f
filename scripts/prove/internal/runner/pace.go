package runner

import (
	"context"
	"time"
)

const (
	slowest = 10.0 // changes a second, while faults are still to come
	kept    = 0.03 // of the changes, for faults that take longer than was thought
)

// pace spreads the changes over the faults that are still to come, so that each of them meets work;
// afterwards the rest is done as fast as possible.
func (t *trial) pace() float64 {
	left := t.injector.Left(t.Scenario)
	if left == 0 {
		return 0
	}
	changes := float64(t.calls()-t.workload.Made()) - kept*float64(t.calls())
	return max(slowest, changes/left.Seconds())
}

// behind is how many events were committed and are not in effect yet: not in Kafka, or not notified, or
// not counted when stats is meant. While the database is away it is what was known of it last.
func (t *trial) behind(ctx context.Context, stats bool) int {
	seen := t.provider.Count()
	if stats {
		n, err := t.gauge.Counted(ctx)
		if err != nil {
			return 0 // nobody can tell
		}
		seen = int(n)
	}
	p, err := t.gauge.Progress(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.known = p
	}
	return max(0, int(t.known.Completed)-seen, int(t.known.Unsent))
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// calls is how many the clients make for so many changes: every ninth or so finds
// nothing to change, or is refused.
func (t *trial) calls() int { return t.Scenario.Changes + t.Scenario.Changes/7 }
