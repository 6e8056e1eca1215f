package faults

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/todo/contracts/event"
	"example.com/todo/scripts/prove/internal/cluster"
	"example.com/todo/scripts/prove/internal/history"
	"example.com/todo/scripts/prove/internal/probe"
	"example.com/todo/scripts/prove/internal/rogueproducer"
)

const (
	// earlier is how many records each partition of the topic has that is replaced.
	earlier = 50
	// enough is how many each has to have in the new one: the places of the earlier lie
	// well within it.
	enough = 2 * earlier
	// replacing bounds each part of it.
	replacing = 30 * time.Second
)

// Replace has the consumers read the topic, stops them, and deletes and creates the
// topic again. It comes before the clients' work: what they do is in the new topic.
func (i *Injector) Replace(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, replacing, errors.New("the topic was not replaced in time"))
	defer cancel()
	if err := rogueproducer.Fill(ctx, i.System.Brokers(), cluster.Partitions, earlier); err != nil {
		return err
	}
	for _, group := range probe.Groups {
		for {
			lag, err := i.Gauge.Lag(group)
			if err == nil && lag == 0 {
				break
			}
			if ctx.Err() != nil {
				return fmt.Errorf("group %s lags by %d: %w", group, lag, errors.Join(context.Cause(ctx), err))
			}
			wait(ctx, askEvery)
		}
	}
	i.replaced = time.Now()
	i.System.StopConsumers(ctx)
	return i.System.ReplaceTopic(ctx)
}

// bringBack starts the consumers when each partition of the new topic has enough.
func (i *Injector) bringBack(ctx context.Context) error {
	for end := time.Now().Add(replacing); ctx.Err() == nil && time.Now().Before(end); wait(ctx, askEvery) {
		if least, err := i.Gauge.Shortest(); err == nil && least >= enough {
			break
		}
	}
	f := history.Fault{Kind: string(Replace), Target: event.Topic, Began: i.replaced, Behind: i.Behind(ctx, false)}
	err := i.System.StartServices(ctx)
	f.Ended = time.Now()
	i.Ledger.Fault(f)
	i.Log.InfoContext(ctx, "fault", "kind", f.Kind, "target", f.Target, "took", f.Ended.Sub(f.Began).Round(time.Millisecond), "behind", f.Behind)
	return err
}
