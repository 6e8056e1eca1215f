package runner

import (
	"context"
)

const (
	minRate          = 10.0 // changes per second, while faults are still to come
	reservedFraction = 0.03 // of the changes, kept for faults that take longer than estimated
)

// rate spreads the remaining changes over the remaining faults, so that each fault meets work. It
// returns calls per second, or 0 for no limit once the faults are over.
func (t *experiment) rate() float64 {
	left := t.injector.Remaining(t.Scenario)
	if left == 0 {
		return 0
	}
	changes := float64(t.plannedCalls()-t.workload.Finished()) - reservedFraction*float64(t.plannedCalls())
	return max(minRate, changes/left.Seconds())
}

// backlog returns the number of committed events that are not in effect yet: not in Kafka, or not
// notified, or not counted if stats is set. While the database is down it uses the last known
// progress.
func (t *experiment) backlog(ctx context.Context, stats bool) int {
	seen := t.webhooks.AcceptedKeys()
	if stats {
		n, err := t.probe.CountedCompletions(ctx)
		if err != nil {
			return 0 // unknown while Redis is down
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

// plannedCalls returns the number of calls that make the scenario's changes: about every ninth
// call changes nothing or is refused.
func (t *experiment) plannedCalls() int { return t.Scenario.Changes + t.Scenario.Changes/7 }
