package faults

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/todo/contracts/event"
	"example.com/todo/platform/retry"
	"example.com/todo/scripts/prove/internal/cluster"
	"example.com/todo/scripts/prove/internal/history"
	"example.com/todo/scripts/prove/internal/rogueproducer"
)

const (
	// oldRecords is the number of records in each partition of the old topic.
	oldRecords = 50
	// newRecords is the number of records that each partition of the new topic needs before the
	// consumers restart. All old offsets are then valid in it.
	newRecords = 2 * oldRecords
	// replaceTimeout bounds each part of the replacement.
	replaceTimeout = 30 * time.Second
)

// ReplaceTopic lets the consumers read the topic, stops them, and deletes and creates the topic
// again. Call it before the workload, whose events belong to the new topic.
func (i *Injector) ReplaceTopic(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, replaceTimeout, errors.New("the topic was not replaced in time"))
	defer cancel()
	if err := rogueproducer.FillTopic(ctx, i.Cluster.Brokers(), cluster.Partitions, oldRecords); err != nil {
		return err
	}
	for _, group := range history.Groups {
		for {
			lag, err := i.Probe.Lag(ctx, group)
			if err == nil && lag == 0 {
				break
			}
			if ctx.Err() != nil {
				return fmt.Errorf("group %s lags by %d: %w", group, lag, errors.Join(context.Cause(ctx), err))
			}
			retry.Wait(ctx, pollInterval)
		}
	}
	i.replacedAt = time.Now()
	i.Cluster.StopConsumers(ctx)
	return i.Cluster.ReplaceTopic(ctx)
}

// restartConsumers starts the consumers once each partition of the new topic has newRecords.
func (i *Injector) restartConsumers(ctx context.Context) error {
	for end := time.Now().Add(replaceTimeout); ctx.Err() == nil && time.Now().Before(end); retry.Wait(ctx, pollInterval) {
		if least, err := i.Probe.ShortestPartition(ctx); err == nil && least >= newRecords {
			break
		}
	}
	f := history.Fault{Kind: string(ReplaceTopic), Target: event.Topic, Began: i.replacedAt, Backlog: i.Backlog(ctx, false)}
	err := i.Cluster.StartServices(ctx)
	f.Ended = time.Now()
	i.Recorder.RecordFault(f)
	i.Log.InfoContext(ctx, "fault", "kind", f.Kind, "target", f.Target, "took", f.Ended.Sub(f.Began).Round(time.Millisecond), "backlog", f.Backlog)
	return err
}
