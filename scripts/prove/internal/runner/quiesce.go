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

func (c pendingWork) isEmpty() bool {
	return c.unsentKafka+c.unsentLive+c.lags[0]+c.lags[1] == 0 && c.recountingReplicas == 0
}

// quiesce waits until every event is sent and handled, and no delivery has arrived for
// quietPeriod. It waits as long as there is progress, until quiesceTimeout.
func (t *experiment) quiesce(ctx context.Context) error {
	var last pendingWork
	var trouble error
	moved, end := time.Now(), time.Now().Add(quiesceTimeout)
	if !t.deadline.IsZero() && t.deadline.Before(end) {
		end = t.deadline
	}
	for ctx.Err() == nil {
		now, err := t.measurePending(ctx)
		trouble = err
		if err == nil && now != last {
			last, moved = now, time.Now()
		}
		still := time.Since(moved)
		if err == nil && now.isEmpty() && still >= quietPeriod {
			return nil
		}
		if still > stallTimeout || time.Now().After(end) {
			return errors.Join(fmt.Errorf("%w: %d events are not in Kafka, %d not in the live feed; the groups lag by %v; %d replicas recount",
				ErrNotQuiescent, last.unsentKafka, last.unsentLive, last.lags, last.recountingReplicas), trouble)
		}
		retry.Wait(ctx, pollInterval)
	}
	return context.Cause(ctx)
}

func (t *experiment) measurePending(ctx context.Context) (pendingWork, error) {
	p, err := t.probe.Progress(ctx)
	if err != nil {
		return pendingWork{}, err
	}
	now := pendingWork{unsentKafka: p.UnsentKafka, unsentLive: p.UnsentLive, acceptedKeys: t.webhooks.AcceptedKeys()}
	for i, group := range probe.Groups {
		if now.lags[i], err = t.probe.Lag(group); err != nil {
			return pendingWork{}, err
		}
	}
	for _, r := range t.cluster.Replicas(cluster.Stats) {
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
	var said struct {
		Complete bool  `json:"complete"`
		Lag      int64 `json:"lag"`
	}
	if response.StatusCode != http.StatusOK {
		return false, fmt.Errorf("GET /stats: %s", response.Status)
	}
	err = json.NewDecoder(response.Body).Decode(&said)
	return said.Complete && said.Lag == 0, err
}
