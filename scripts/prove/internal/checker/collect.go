package checker

import (
	"context"
	"fmt"

	"example.com/todo/scripts/prove/internal/history"
)

// Sources is where the facts are.
type Sources struct {
	PostgresDSN string
	Brokers     []string
	Stats       []string // the HTTP address of every replica of stats-service, host:port
}

// Collect reads from the database, the topics and the statistics into run what they
// hold now. The system has to be well, and quiet.
func Collect(ctx context.Context, where Sources, run *history.Run) (err error) {
	if err := readTables(ctx, where.PostgresDSN, run); err != nil {
		return fmt.Errorf("collect from PostgreSQL: %w", err)
	}
	if run.Topic, err = readRecords(ctx, where.Brokers, "task-events"); err != nil {
		return fmt.Errorf("collect from Kafka: %w", err)
	}
	if run.DLQ, err = readRecords(ctx, where.Brokers, "task-events-dlq"); err != nil {
		return fmt.Errorf("collect from Kafka: %w", err)
	}
	if run.Stats, err = readStatsReports(ctx, where.Stats); err != nil {
		return fmt.Errorf("collect statistics: %w", err)
	}
	return nil
}

// CollectReplay reads into run.Again what is there after the replays: the statistics,
// how many events, and the dead letters.
func CollectReplay(ctx context.Context, where Sources, run *history.Run) (err error) {
	var now history.Run
	if err := readTables(ctx, where.PostgresDSN, &now); err != nil {
		return fmt.Errorf("collect from PostgreSQL: %w", err)
	}
	run.Replay.Events = len(now.Events)
	if run.Replay.DLQ, err = readRecords(ctx, where.Brokers, "task-events-dlq"); err != nil {
		return fmt.Errorf("collect from Kafka: %w", err)
	}
	if run.Replay.Stats, err = readStatsReports(ctx, where.Stats); err != nil {
		return fmt.Errorf("collect statistics: %w", err)
	}
	return nil
}
