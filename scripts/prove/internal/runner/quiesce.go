package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/todo/platform/retry"
	"example.com/todo/scripts/prove/internal/history"
)

// ErrNotQuiescent means that the cluster kept pending work without progress for a long time.
var ErrNotQuiescent = errors.New("the cluster did not quiesce")

const (
	pollInterval   = 250 * time.Millisecond
	quietPeriod    = 3 * time.Second  // without a delivery to the webhook server
	stallTimeout   = 60 * time.Second // without progress; more is not expected then
	quiesceTimeout = 10 * time.Minute
)

// pendingWork is the work that the cluster has not done yet.
type pendingWork struct {
	unsentKafka, unsentLive int64
	lags                    [2]int64
	recountingReplicas      int // replicas of stats-service whose counts are not complete
	acceptedKeys            int
}

func (w pendingWork) isEmpty() bool {
	return w.unsentKafka+w.unsentLive+w.lags[0]+w.lags[1] == 0 && w.recountingReplicas == 0
}

// quiesce waits until every event is sent and handled, and no delivery has arrived for
// quietPeriod. It waits as long as there is progress, until quiesceTimeout.
func (e *experiment) quiesce(ctx context.Context) error {
	var last pendingWork
	var lastErr error
	progressed, end := time.Now(), time.Now().Add(quiesceTimeout)
	if !e.deadline.IsZero() && e.deadline.Before(end) {
		end = e.deadline
	}
	for ctx.Err() == nil {
		now, err := e.measurePending(ctx)
		lastErr = err
		if err == nil && now != last {
			last, progressed = now, time.Now()
		}
		idle := time.Since(progressed)
		if err == nil && now.isEmpty() && idle >= quietPeriod {
			return nil
		}
		if idle > stallTimeout || time.Now().After(end) {
			return errors.Join(fmt.Errorf("%w: %d events are not in Kafka, %d not in the live feed; the groups lag by %v; %d replicas recount",
				ErrNotQuiescent, last.unsentKafka, last.unsentLive, last.lags, last.recountingReplicas), lastErr)
		}
		retry.Wait(ctx, pollInterval)
	}
	return context.Cause(ctx)
}

func (e *experiment) measurePending(ctx context.Context) (pendingWork, error) {
	p, err := e.probe.Progress(ctx)
	if err != nil {
		return pendingWork{}, err
	}
	now := pendingWork{unsentKafka: p.UnsentKafka, unsentLive: p.UnsentLive, acceptedKeys: e.webhooks.AcceptedKeys()}
	for i, group := range history.Groups {
		if now.lags[i], err = e.probe.Lag(ctx, group); err != nil {
			return pendingWork{}, err
		}
	}
	reports, err := e.probe.StatsReports(ctx)
	for _, r := range reports {
		if !r.Complete || r.Lag != 0 {
			now.recountingReplicas++
		}
	}
	return now, err
}
