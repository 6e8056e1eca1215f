package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"example.com/todo/contracts/event"
	"example.com/todo/platform/command"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/reader"
	"example.com/todo/platform/redis"
	"example.com/todo/stats-service/internal/consumer"
	"example.com/todo/stats-service/internal/redisstore"
	"example.com/todo/stats-service/internal/stats"
)

const (
	topicCheckTimeout = 10 * time.Second // for Kafka to describe the topic
	progressInterval  = 2 * time.Second  // between two progress lines
)

// AddRebuild adds the command rebuild to the program.
func AddRebuild(p *command.Program[Config]) {
	var acceptGap bool
	cmd := p.Add("rebuild", "Count everything again from the topic's start, while the service runs",
		func(ctx context.Context, cfg Config) error { return Rebuild(ctx, cfg, acceptGap) })
	cmd.Flags().BoolVar(&acceptGap, "accept-gap", false, "rebuild although the topic's first records were deleted; the counters then miss them")
}

// Rebuild counts everything again from the topic's start, while the service runs, and
// then swaps the new counters in. It prints its progress to standard error. acceptGap
// permits a topic whose first records were deleted. The error is a
// command.UsageError when the rebuild could not start.
func Rebuild(ctx context.Context, cfg Config, acceptGap bool) error {
	if err := checkTopic(ctx, cfg.Kafka); err != nil {
		return command.UsageError(err)
	}
	if err := redis.NewTopology("redis", cfg.Redis, slog.New(slog.DiscardHandler)).Check(ctx); err != nil {
		return command.UsageError(err)
	}
	client := redis.Open(cfg.Redis, "redis", nil)
	defer func() { _ = client.Close() }()
	live := redisstore.New(client, cfg.Redis.KeyPrefix)
	locked := false
	err := redis.WithLock(ctx, client, live.RebuildLockKey(), func(ctx context.Context, token string) error {
		locked = true
		return runRebuild(ctx, cfg, live.NewShadow(token), acceptGap)
	})
	var held *redis.LockedError
	switch {
	case errors.As(err, &held):
		return command.UsageError(fmt.Errorf("another rebuild is under way: %w", err))
	case errors.Is(err, consumer.ErrGap):
		return command.UsageError(fmt.Errorf("%w; --accept-gap rebuilds without them", err))
	case err != nil && !locked:
		return command.UsageError(cfg.Redis.Explain(err))
	case err != nil:
		return fmt.Errorf("the rebuild failed and can be run again, the service was not disturbed: %w", err)
	}
	return nil
}

func checkTopic(ctx context.Context, cfg kafka.Config) error {
	ctx, cancel := context.WithTimeout(ctx, topicCheckTimeout)
	defer cancel()
	return reader.CheckTopic(ctx, cfg, event.Topic)
}

func runRebuild(ctx context.Context, cfg Config, shadow *redisstore.Shadow, acceptGap bool) error {
	start := time.Now()
	sources, err := consumer.NewSources(ctx, cfg.Kafka, event.Topic, event.DLQTopic, name)
	if err != nil {
		return err
	}
	sources.AcceptGap = acceptGap
	printed := start
	progress := func(done, all int64) {
		if time.Since(printed) >= progressInterval {
			printed = time.Now()
			fmt.Fprintf(os.Stderr, "counted %d of %d records\n", done, all)
		}
	}
	counter := stats.NewService(shadow.Store(), nil, cfg.Kafka.Partitions, time.Now)
	summary, err := consumer.NewRebuild(counter, shadow, sources, progress).Run(ctx)
	if err != nil {
		return err
	}
	printSummary(os.Stderr, summary, time.Since(start))
	return nil
}

func printSummary(to io.Writer, s consumer.Summary, took time.Duration) {
	fmt.Fprintf(to, "rebuilt from %d records in %v: %d completions, %d duplicates; skipped: %d unreadable, %d of unknown types, %d dead-lettered or another group's\n",
		s.Records, took.Round(time.Millisecond), s.Counted, s.Duplicates, s.Unreadable, s.Unknown, s.Excluded)
	if s.Swap.Unknown {
		fmt.Fprintf(to, "the differences are unknown: the reply of Redis to the swap was lost\n")
		return
	}
	fmt.Fprintf(to, "total: %d before, %d now; days that differ: %d\n", s.Swap.Before, s.Swap.After, len(s.Swap.Days))
	for _, day := range s.Swap.Days {
		fmt.Fprintf(to, "%s: %d before, %d now\n", day.Day, day.Before, day.After)
	}
}
