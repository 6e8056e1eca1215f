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
		for lag, err := i.Probe.Lag(ctx, group); err != nil || lag > 0; lag, err = i.Probe.Lag(ctx, group) {
			if !retry.Wait(ctx, pollInterval) {
				return fmt.Errorf("group %s lags by %d: %w", group, lag, errors.Join(context.Cause(ctx), err))
			}
		}
	}
	i.replacedAt = time.Now()
	i.Cluster.StopConsumers(ctx)
	return i.Cluster.ReplaceTopic(ctx)
}

// restartConsumers starts the consumers once each partition of the new topic has newRecords.
func (i *Injector) restartConsumers(ctx context.Context) error {
	poll(ctx, replaceTimeout, func() bool {
		least, err := i.Probe.ShortestPartition(ctx)
		return err == nil && least >= newRecords
	})
	return i.injectWith(ctx, ReplaceTopic, event.Topic, func(f *history.Fault) error {
		f.Began = i.replacedAt
		return i.Cluster.StartServices(ctx)
	})
}
