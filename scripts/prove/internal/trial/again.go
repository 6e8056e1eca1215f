package trial

import (
	"context"
	"fmt"

	"example.com/todo/scripts/prove/internal/audit"
	"example.com/todo/scripts/prove/internal/evidence"
	"example.com/todo/scripts/prove/internal/gauge"
	"example.com/todo/scripts/prove/internal/system"
)

// again has both groups read the topic from its beginning, and their dead letters replayed twice, and
// collects what is there afterwards.
func (t *trial) again(ctx context.Context, run *evidence.Run) error {
	before := len(run.Received)
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
	if err := audit.CollectAgain(ctx, t.sources(), run); err != nil {
		return err
	}
	run.Again.Received = t.provider.Received()[before:]
	run.Again.Done = true
	return nil
}
