package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"example.com/todo/platform/retry"
	"example.com/todo/scripts/prove/internal/cluster"
	"example.com/todo/scripts/prove/internal/probe"
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
	for i, group := range probe.Groups {
		if now.lags[i], err = e.probe.Lag(group); err != nil {
			return pendingWork{}, err
		}
	}
	for _, r := range e.cluster.Replicas(cluster.Stats) {
		complete, err := statsComplete(ctx, r.HTTP)
		if err != nil {
			return pendingWork{}, err
		}
		if !complete {
			now.recountingReplicas++
		}
	}
	return now, nil
}

// statsComplete requests whether a replica of stats-service has counted the whole topic.
func statsComplete(ctx context.Context, addr string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/stats", nil)
	if err != nil {
		return false, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false, err
	}
	defer func() { _ = response.Body.Close() }()
	var stats struct {
		Complete bool  `json:"complete"`
		Lag      int64 `json:"lag"`
	}
	if response.StatusCode != http.StatusOK {
		return false, fmt.Errorf("GET /stats: %s", response.Status)
	}
	err = json.NewDecoder(response.Body).Decode(&stats)
	return stats.Complete && stats.Lag == 0, err
}
