package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"example.com/todo/scripts/prove/internal/cluster"
	"example.com/todo/scripts/prove/internal/probe"
)

// ErrNoisy says that the system did not become quiet: it neither finished nor moved for a long time.
var ErrNoisy = errors.New("the system did not become quiet")

const (
	askEvery    = 250 * time.Millisecond
	silence     = 3 * time.Second  // of the provider
	standstill  = 60 * time.Second // after which nothing more is expected
	quietAtMost = 10 * time.Minute
)

// calm is what is still to be done.
type calm struct {
	unsent, unshown int64
	lags            [2]int64
	recounting      int // replicas of stats-service that do not say complete
	received        int
}

func (c calm) done() bool {
	return c.unsent+c.unshown+c.lags[0]+c.lags[1] == 0 && c.recounting == 0
}

// quiet waits until all is sent and handled, and the provider hears nothing more. It waits as long as
// something moves.
func (t *trial) quiet(ctx context.Context) error {
	var last calm
	var trouble error
	moved, end := time.Now(), time.Now().Add(quietAtMost)
	if !t.end.IsZero() && t.end.Before(end) {
		end = t.end
	}
	for ctx.Err() == nil {
		now, err := t.calm(ctx)
		trouble = err
		if err == nil && now != last {
			last, moved = now, time.Now()
		}
		still := time.Since(moved)
		if err == nil && now.done() && still >= silence {
			return nil
		}
		if still > standstill || time.Now().After(end) {
			return errors.Join(fmt.Errorf("%w: %d events unsent, %d not shown; the groups lag by %v; %d replicas recount",
				ErrNoisy, last.unsent, last.unshown, last.lags, last.recounting), trouble)
		}
		wait(ctx, askEvery)
	}
	return context.Cause(ctx)
}

func (t *trial) calm(ctx context.Context) (calm, error) {
	p, err := t.gauge.Progress(ctx)
	if err != nil {
		return calm{}, err
	}
	now := calm{unsent: p.Unsent, unshown: p.Unshown, received: t.provider.Count()}
	for i, group := range probe.Groups {
		if now.lags[i], err = t.gauge.Lag(group); err != nil {
			return calm{}, err
		}
	}
	for _, r := range t.system.Replicas(cluster.Stats) {
		complete, err := complete(ctx, r.HTTP)
		if err != nil {
			return calm{}, err
		}
		if !complete {
			now.recounting++
		}
	}
	return now, nil
}

// complete asks a replica of stats-service whether it has counted everything.
func complete(ctx context.Context, addr string) (bool, error) {
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
