package checker

import (
	"context"
	"fmt"

	"example.com/todo/scripts/prove/internal/history"
)

// Sources are the addresses of what Collect reads.
type Sources struct {
	PostgresDSN string
	Brokers     []string
	Stats       []string // HTTP address of every replica of stats-service, host:port
}

// Collect reads the tables, the topics and the statistics into run. The cluster must be healthy
// and quiescent.
func Collect(ctx context.Context, sources Sources, run *history.Run) (err error) {
	if err := readTables(ctx, sources.PostgresDSN, run); err != nil {
		return fmt.Errorf("collect from PostgreSQL: %w", err)
	}
	if run.Topic, err = readRecords(ctx, sources.Brokers, "task-events"); err != nil {
		return fmt.Errorf("collect from Kafka: %w", err)
	}
	if run.DLQ, err = readRecords(ctx, sources.Brokers, "task-events-dlq"); err != nil {
		return fmt.Errorf("collect from Kafka: %w", err)
	}
	if run.Stats, err = readStatsReports(ctx, sources.Stats); err != nil {
		return fmt.Errorf("collect statistics: %w", err)
	}
	return nil
}

// CollectReplay reads into run.Replay what is there after the replay: the statistics, the number
// of events, and the dead letters.
func CollectReplay(ctx context.Context, sources Sources, run *history.Run) (err error) {
	var now history.Run
	if err := readTables(ctx, sources.PostgresDSN, &now); err != nil {
		return fmt.Errorf("collect from PostgreSQL: %w", err)
	}
	run.Replay.Events = len(now.Events)
	if run.Replay.DLQ, err = readRecords(ctx, sources.Brokers, "task-events-dlq"); err != nil {
		return fmt.Errorf("collect from Kafka: %w", err)
	}
	if run.Replay.Stats, err = readStatsReports(ctx, sources.Stats); err != nil {
		return fmt.Errorf("collect statistics: %w", err)
	}
	return nil
}
