package runner

import "context"

const (
	minRate          = 10.0 // changes per second, while faults are still to come
	reservedFraction = 0.03 // of the changes, kept for faults that take longer than estimated
)

// rate spreads the remaining changes over the remaining faults, so that each fault meets work. It
// returns calls per second, or 0 for no limit once the faults are over.
func (e *experiment) rate() float64 {
	remaining := e.injector.Remaining(e.Scenario)
	if remaining == 0 {
		return 0
	}
	changes := float64(e.plannedCalls()-e.workload.Finished()) - reservedFraction*float64(e.plannedCalls())
	return max(minRate, changes/remaining.Seconds())
}

// backlog returns the number of committed events that are not in effect yet: not in Kafka, or not
// notified, or not counted if stats is set. While the database is down it uses the last known
// progress.
func (e *experiment) backlog(ctx context.Context, stats bool) int {
	done := e.webhooks.AcceptedKeys()
	if stats {
		n, err := e.probe.CountedCompletions(ctx)
		if err != nil {
			return 0 // unknown while Redis is down
		}
		done = int(n)
	}
	p, err := e.probe.Progress(ctx)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err == nil {
		e.lastProgress = p
	}
	return max(0, int(e.lastProgress.Completed)-done, int(e.lastProgress.UnsentKafka))
}

// plannedCalls returns the number of calls that make the scenario's changes: about every eighth
// call changes nothing, is refused or gets no response.
func (e *experiment) plannedCalls() int { return e.Scenario.Changes + e.Scenario.Changes/6 }
