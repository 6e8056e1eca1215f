package runner

import (
	"context"
	"fmt"

	"example.com/todo/scripts/prove/internal/cluster"
	"example.com/todo/scripts/prove/internal/history"
)

// replayAndCollect replays everything and collects the result. A replay that the cluster does not
// finish becomes a violation; an error means that the run failed.
func (e *experiment) replayAndCollect(ctx context.Context, run *history.Run) error {
	delivered := len(run.Deliveries)
	if err := e.replayEverything(ctx); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		run.Replay.OtherEffects = append(run.Replay.OtherEffects, err.Error())
	}
	if err := e.probe.CollectReplay(ctx, &run.Replay); err != nil {
		return err
	}
	run.Replay.Deliveries = e.webhooks.Deliveries()[delivered:]
	run.Replay.Done = true
	return nil
}

// replayEverything lets both groups read the topic from its beginning, and replays their dead
// letters twice.
func (e *experiment) replayEverything(ctx context.Context) error {
	e.cluster.StopConsumers(ctx)
	for _, group := range history.Groups {
		if err := e.probe.ResetOffsets(ctx, group); err != nil {
			return err
		}
	}
	if err := e.cluster.StartServices(ctx); err != nil {
		return err
	}
	if err := e.quiesce(ctx); err != nil {
		return fmt.Errorf("replay the topic: %w", err)
	}
	for range 2 {
		for _, program := range []string{cluster.Notification, cluster.Stats} {
			if err := e.cluster.RunCommand(ctx, program, "dlq", "replay", "--all"); err != nil {
				return err
			}
		}
		if err := e.quiesce(ctx); err != nil {
			return fmt.Errorf("replay the dead letters: %w", err)
		}
	}
	return nil
}
