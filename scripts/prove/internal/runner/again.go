package runner

import (
	"context"
	"fmt"

	"example.com/todo/scripts/prove/internal/checker"
	"example.com/todo/scripts/prove/internal/cluster"
	"example.com/todo/scripts/prove/internal/history"
	"example.com/todo/scripts/prove/internal/probe"
)

// again has everything read a second time, and collects what is there afterwards. What the system fails
// to do is a finding; an error is about the run.
func (t *trial) again(ctx context.Context, run *history.Run) error {
	before := len(run.Received)
	if err := t.replay(ctx); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		run.Again.NewEffect = append(run.Again.NewEffect, err.Error())
	}
	if err := checker.CollectAgain(ctx, t.sources(), run); err != nil {
		return err
	}
	run.Again.Received = t.provider.Received()[before:]
	run.Again.Done = true
	return nil
}

// replay has both groups read the topic from its beginning, and has their dead letters replayed twice.
func (t *trial) replay(ctx context.Context) error {
	t.system.StopConsumers(ctx)
	for _, group := range probe.Groups {
		if err := t.gauge.Rewind(group); err != nil {
			return err
		}
	}
	if err := t.system.StartServices(ctx); err != nil {
		return err
	}
	if err := t.quiet(ctx); err != nil {
		return fmt.Errorf("from the topic's beginning: %w", err)
	}
	for range 2 {
		for _, program := range []string{cluster.Notification, cluster.Stats} {
			if err := t.system.Run(ctx, program, "dlq", "replay", "--all"); err != nil {
				return err
			}
		}
		if err := t.quiet(ctx); err != nil {
			return fmt.Errorf("after the dead letters' replay: %w", err)
		}
	}
	return nil
}
