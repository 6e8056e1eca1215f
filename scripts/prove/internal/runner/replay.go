package runner

import (
	"context"
	"fmt"

	"example.com/todo/scripts/prove/internal/checker"
	"example.com/todo/scripts/prove/internal/cluster"
	"example.com/todo/scripts/prove/internal/history"
	"example.com/todo/scripts/prove/internal/probe"
)

// replayAndCollect replays everything and collects the result. A replay that the cluster does not
// finish becomes a violation; an error means that the run failed.
func (t *experiment) replayAndCollect(ctx context.Context, run *history.Run) error {
	before := len(run.Deliveries)
	if err := t.replayEverything(ctx); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		run.Replay.OtherEffects = append(run.Replay.OtherEffects, err.Error())
	}
	if err := checker.CollectReplay(ctx, t.sources(), run); err != nil {
		return err
	}
	run.Replay.Deliveries = t.webhooks.Deliveries()[before:]
	run.Replay.Done = true
	return nil
}

// replayEverything lets both groups read the topic from its beginning, and replays their dead
// letters twice.
func (t *experiment) replayEverything(ctx context.Context) error {
	t.cluster.StopConsumers(ctx)
	for _, group := range probe.Groups {
		if err := t.probe.ResetOffsets(group); err != nil {
			return err
		}
	}
	if err := t.cluster.StartServices(ctx); err != nil {
		return err
	}
	if err := t.quiesce(ctx); err != nil {
		return fmt.Errorf("replay the topic: %w", err)
	}
	for range 2 {
		for _, program := range []string{cluster.Notification, cluster.Stats} {
			if err := t.cluster.RunCommand(ctx, program, "dlq", "replay", "--all"); err != nil {
				return err
			}
		}
		if err := t.quiesce(ctx); err != nil {
			return fmt.Errorf("replay the dead letters: %w", err)
		}
	}
	return nil
}
