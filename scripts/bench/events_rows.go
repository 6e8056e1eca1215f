package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/IBM/sarama"

	"example.com/todo/contracts/event"
)

// step is how often progress is looked at, and limit how long it may take.
const (
	step  = 2 * time.Millisecond
	limit = 2 * time.Minute
)

// pace follows a number that grows up to all and returns its rate, from the
// first time that it is not 0: starting up and joining a group do not count.
func (b *bench) pace(ctx context.Context, progress func(context.Context) (int, error)) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(step)
	defer tick.Stop()
	var first int
	var since time.Time
	for {
		done, err := progress(ctx)
		switch {
		case err != nil:
			return 0, err
		case done == b.events:
			return float64(done-first) / time.Since(since).Seconds(), nil
		case done > 0 && first == 0:
			first, since = done, time.Now()
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%d of %d: %w", done, b.events, ctx.Err())
		case <-tick.C:
		}
	}
}

// drain measures the relay after an outage of Kafka: the events have their place
// in the log and went to the live feed, and none to Kafka.
func (b *bench) drain(ctx context.Context) (float64, error) {
	if _, err := b.db.ExecContext(ctx, `UPDATE stream SET kafka_seq = 0`); err != nil {
		return 0, err
	}
	if err := b.emptyTopic(ctx); err != nil {
		return 0, err
	}
	gate, err := newGate(ctx, b.brokers)
	if err != nil {
		return 0, err
	}
	defer gate.close()
	return b.during(ctx, "todo-service", b.env("KAFKA_BROKERS="+gate.addr()), func(ctx context.Context) (float64, error) {
		if _, err := b.pace(ctx, b.cursor("live_seq")); err != nil {
			return 0, fmt.Errorf("numbering the log: %w", err)
		}
		gate.open()
		return b.pace(ctx, b.cursor("kafka_seq"))
	})
}

func (b *bench) cursor(column string) func(context.Context) (int, error) {
	return func(ctx context.Context) (n int, err error) {
		err = b.db.QueryRowContext(ctx, `SELECT `+column+` FROM stream`).Scan(&n)
		return n, err
	}
}

// emptyTopic removes what an earlier round wrote.
func (b *bench) emptyTopic(ctx context.Context) error {
	if err := b.admin.DeleteTopic(event.Topic); err != nil {
		return err
	}
	for ctx.Err() == nil {
		if err := b.makeTopics(ctx); err == nil {
			return nil
		}
		select { // a topic that is being deleted can not be made
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
	return ctx.Err()
}

func (b *bench) statsConsumes(ctx context.Context) (float64, error) {
	return b.consume(ctx, "stats-service", "stats:offsets")
}

func (b *bench) notificationsConsume(ctx context.Context) (float64, error) {
	return b.consume(ctx, "notification-service", "notification:offsets")
}

// consume measures a consumer that never ran, by the offsets that it keeps in a
// hash beside its effects.
func (b *bench) consume(ctx context.Context, service, offsets string) (float64, error) {
	prefix := rand.Text() + ":"
	if err := b.admin.DeleteConsumerGroup(service); err != nil && !errors.Is(err, sarama.ErrGroupIDNotFound) {
		return 0, err
	}
	return b.during(ctx, service, b.env("REDIS_KEY_PREFIX="+prefix), func(ctx context.Context) (float64, error) {
		return b.pace(ctx, func(ctx context.Context) (int, error) {
			fields, err := b.redis.HGetAll(ctx, prefix+offsets).Result()
			sum := 0
			for partition, offset := range fields {
				if _, err := strconv.Atoi(partition); err == nil {
					n, _ := strconv.Atoi(offset) // written by the service as a number
					sum += n
				}
			}
			return sum, err
		})
	})
}

// readAll makes kcat read the topic: a line for each record, key and value.
var readAll = []string{"-C", "-t", event.Topic, "-o", "beginning", "-e", "-f", `%k\t%s\n`}

func (b *bench) kcat(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "kcat", append([]string{"-q", "-b", b.brokers}, args...)...)
}

// kcatConsumes measures kcat reading the topic.
func (b *bench) kcatConsumes(ctx context.Context) (float64, error) {
	return b.timed(b.kcat(ctx, readAll...))
}

// kcatProduces measures kcat writing the same keys and values to another topic.
func (b *bench) kcatProduces(ctx context.Context) (float64, error) {
	file := filepath.Join(b.dir, "records")
	out, err := b.kcat(ctx, readAll...).Output()
	if err != nil {
		return 0, err
	}
	if lines := bytes.Count(out, []byte("\n")); lines != b.events {
		return 0, fmt.Errorf("the topic holds %d records, not %d", lines, b.events)
	}
	if err := os.WriteFile(file, out, 0o600); err != nil {
		return 0, err
	}
	return b.timed(b.kcat(ctx, "-P", "-t", copyTopic, "-X", "acks=all", "-K", `\t`, "-l", file))
}

func (b *bench) timed(cmd *exec.Cmd) (float64, error) {
	var said bytes.Buffer
	cmd.Stderr = &said
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, errors.Join(err, errors.New(said.String()))
	}
	return float64(b.events) / time.Since(began).Seconds(), nil
}
