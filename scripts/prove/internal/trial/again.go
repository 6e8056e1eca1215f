package trial

import (
	"context"
	"fmt"

	"example.com/todo/scripts/prove/internal/audit"
	"example.com/todo/scripts/prove/internal/evidence"
	"example.com/todo/scripts/prove/internal/gauge"
	"example.com/todo/scripts/prove/internal/system"
)

// again has everything read a second time, and collects what is there afterwards. What the system fails
// to do is a finding; an error is about the run.
func (t *trial) again(ctx context.Context, run *evidence.Run) error {
	before := len(run.Received)
	if err := t.replay(ctx); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		run.Again.NewEffect = append(run.Again.NewEffect, err.Error())
	}
	if err := audit.CollectAgain(ctx, t.sources(), run); err != nil {
		return err
	}
	run.Again.Received = t.provider.Received()[before:]
	run.Again.Done = true
	return nil
}

// replay has both groups read the topic from its beginning, and has their dead letters replayed twice.
func (t *trial) replay(ctx context.Context) error {
	t.system.StopConsumers(ctx)
	for _, group := range gauge.Groups {
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
		for _, program := range []string{system.Notification, system.Stats} {
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
