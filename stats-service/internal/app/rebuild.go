package app

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	askFor    = 10 * time.Second // Kafka, whether the topics are there
	tellEvery = 2 * time.Second  // how far it has come
)

var errReplaced = errors.New("the topic was deleted and created again meanwhile, and what was counted is of both")

// AddRebuild gives the program the command rebuild.
func AddRebuild(p *command.Program[Config]) {
	var acceptGap bool
	cmd := p.Add("rebuild", "Count everything anew from the topic's beginning, while the service goes on",
		func(ctx context.Context, cfg Config) error { return Rebuild(ctx, cfg, acceptGap) })
	cmd.Flags().BoolVar(&acceptGap, "accept-gap", false, "count what there is although the topic's first records are gone")
}

// Rebuild counts everything anew from the topic's beginning, while the service
// goes on, and then lets the new count take the old one's place. It tells on
// standard error how it gets on. acceptGap is for a topic whose first records
// are gone.
func Rebuild(ctx context.Context, cfg Config, acceptGap bool) error {
	if err := reachable(ctx, cfg.Kafka); err != nil {
		return command.UsageError(err)
	}
	if err := redis.NewTopology("redis", cfg.Redis).Check(ctx); err != nil {
		return command.UsageError(err)
	}
	client := redis.Open(cfg.Redis)
	defer func() { _ = client.Close() }()
	live := redisstore.New(client, cfg.Redis.KeyPrefix)
	locked := false
	err := redis.WithLock(ctx, client, live.RebuildLock(), func(ctx context.Context, token string) error {
		locked = true
		return rebuild(ctx, cfg, live.NewShadow(token), acceptGap)
	})
	var gap *consumer.GapError
	var held *redis.LockedError
	switch {
	case errors.As(err, &held):
		return command.UsageError(fmt.Errorf("another rebuild is under way: %w", err))
	case errors.As(err, &gap):
		return command.UsageError(fmt.Errorf("%w; --accept-gap counts what there is", err))
	case err != nil && !locked:
		return command.UsageError(fmt.Errorf("%w; is redis.addr right?", err))
	case err != nil:
		return fmt.Errorf("the rebuild failed and can be run again, the service was not disturbed: %w", err)
	}
	return nil
}

func reachable(ctx context.Context, cfg kafka.Config) error {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	err := reader.CheckTopic(ctx, cfg, event.Topic)
	var wrong *kafka.TopicError
	if err != nil && !errors.As(err, &wrong) {
		return fmt.Errorf("%w; is kafka.brokers right?", err)
	}
	return err
}

func rebuild(ctx context.Context, cfg Config, shadow *redisstore.Shadow, acceptGap bool) error {
	scan := func(topic string) consumer.Scan {
		return func(ctx context.Context, from map[int32]int64, visit func(context.Context, []kafka.Record) error) (map[int32]int64, error) {
			return reader.Scan(ctx, cfg.Kafka, topic, from, visit)
		}
	}
	began := time.Now()
	id, err := reader.TopicID(ctx, cfg.Kafka, event.Topic)
	if err != nil {
		return err
	}
	sources := consumer.Sources{
		Log: sameTopic(scan(event.Topic), id, cfg.Kafka), DeadLetters: scan(event.DLQTopic), Group: name, AcceptGap: acceptGap,
		Oldest: func(ctx context.Context) (map[int32]int64, error) {
			return reader.OffsetsSince(ctx, cfg.Kafka, event.Topic, time.Time{})
		},
		Ends: func(ctx context.Context) (map[int32]int64, error) {
			return reader.LogEndOffsets(ctx, cfg.Kafka, event.Topic)
		},
		Owns: kafka.PartitionLog{TopicID: id}.Matches,
	}
	counter := stats.NewService(shadow.Store(), nil, cfg.Kafka.Partitions, time.Now)
	summary, err := consumer.NewRebuild(counter, shadow, sources, progress(os.Stderr, tellEvery)).Run(ctx)
	if err != nil {
		return err
	}
	tell(os.Stderr, summary, time.Since(began))
	return nil
}

// sameTopic fails a scan when the topic has another id after it: what was read is
// of two topics then.
func sameTopic(scan consumer.Scan, id string, cfg kafka.Config) consumer.Scan {
	return func(ctx context.Context, from map[int32]int64, visit func(context.Context, []kafka.Record) error) (map[int32]int64, error) {
		next, err := scan(ctx, from, visit)
		if err != nil {
			return next, err
		}
		now, err := reader.TopicID(ctx, cfg, event.Topic)
		if err == nil && id != "" && now != "" && now != id {
			err = errReplaced
		}
		return next, err
	}
}

// progress returns what tells, once in a while.
func progress(to io.Writer, every time.Duration) func(done, all int64) {
	last := time.Now()
	return func(done, all int64) {
		if time.Since(last) >= every {
			last = time.Now()
			fmt.Fprintf(to, "counted %d of %d records\n", done, all)
		}
	}
}

func tell(to io.Writer, s consumer.Summary, took time.Duration) {
	fmt.Fprintf(to, "rebuilt from %d records in %v: %d completions, %d duplicates; passed over: %d unreadable, %d of unknown types, %d dead-lettered or another group's\n",
		s.Records, took.Round(time.Millisecond), s.Counted, s.Duplicates, s.Unreadable, s.Unknown, s.NotOurs)
	if s.Swap.Unknown {
		fmt.Fprintf(to, "how the figures differ from those before is not known: Redis did not answer at once\n")
		return
	}
	fmt.Fprintf(to, "total: %d before, %d now; days that differ: %d\n", s.Swap.Before, s.Swap.After, len(s.Swap.Days))
	for _, day := range s.Swap.Days {
		fmt.Fprintf(to, "%s: %d before, %d now\n", day.Day, day.Before, day.After)
	}
}
