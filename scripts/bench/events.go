package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/IBM/sarama"
	"github.com/redis/go-redis/v9"

	"example.com/todo/contracts/event"
	"example.com/todo/platform/testenv/netproxy"
	"example.com/todo/scripts/internal/server"
)

func (b *bench) measureEvents(ctx context.Context) error {
	// The event log looks as if no relay had run since the first commit.
	todo, err := b.newTodo(ctx, "events", `
		INSERT INTO events (id, type, task_id, title, priority, done, created_at, completed_at, version, at, traceparent)
		SELECT gen_random_uuid(), (ARRAY['task.created', 'task.updated', 'task.completed', 'task.deleted'])[v], i,
			'Learn Go, lesson ' || i, 1, v >= 3, now(), CASE WHEN v >= 3 THEN now() END, v, now(),
			'00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
		FROM generate_series(1, 4) AS v, generate_series(1, $1 / 4) AS i ORDER BY v, i`, b.events)
	if err != nil {
		return err
	}
	todo.environ = slices.Clip(append(todo.environ, "TRACING_SAMPLE_RATIO=0"))
	kcatConsumes := b.kcat(nil, readAll...)
	return errors.Join(
		b.compare(ctx, "draining a backlog to Kafka, acks=all (kcat), /s", limit{minRate: 20_000, min: 0.1},
			func(ctx context.Context) (float64, error) { return b.drain(ctx, todo) }, b.kcatProduces),
		b.compare(ctx, "consuming and counting, stats-service (kcat), /s", limit{min: 0.35},
			b.consume(todo.environ, "stats-service", "stats:offsets"), kcatConsumes),
		b.compare(ctx, "consuming and notifying, to the log (kcat), /s", limit{},
			b.consume(todo.environ, "notification-service", "notification:offsets"), kcatConsumes),
	)
}

// drain measures the relay after an outage of Kafka: all events have a sequence number and went to the live
// feed, and no event went to Kafka.
func (b *bench) drain(ctx context.Context, todo *todoService) (float64, error) {
	defer b.stopServices(ctx)
	if _, err := todo.ExecContext(ctx, `UPDATE stream SET kafka_seq = 0`); err != nil {
		return 0, err
	}
	topic := server.Topic{Name: event.Topic, Partitions: 6, MaxBytes: 1 << 20}
	if err := (server.KafkaClient{Addr: b.kafka}).ReplaceTopic(ctx, topic); err != nil {
		return 0, err
	}
	// Kafka is unreachable until the whole backlog is in the log. Brokers tell clients their own
	// addresses, so that only the first requests use the proxy.
	proxy, err := netproxy.Listen(ctx, b.kafka)
	if err != nil {
		return 0, err
	}
	defer func() { _ = proxy.Close() }()
	proxy.SetMode(netproxy.Reject)
	relay, err := b.start("todo-service", append(todo.environ, "KAFKA_BROKERS="+proxy.Addr()))
	if err != nil {
		return 0, err
	}
	cursor := func(column string) func() (int, error) {
		return func() (n int, err error) {
			err = todo.QueryRowContext(ctx, `SELECT `+column+` FROM stream`).Scan(&n)
			return n, err
		}
	}
	if _, err := b.awaitAll(ctx, relay, cursor("live_seq")); err != nil {
		return 0, fmt.Errorf("assigning sequence numbers: %w", err)
	}
	proxy.SetMode(netproxy.Forward)
	return b.awaitAll(ctx, relay, cursor("kafka_seq"))
}

// consume measures a consumer that reads the topic for the first time, by the stored offsets in its Redis hash.
func (b *bench) consume(environ []string, name, offsets string) rate {
	return func(ctx context.Context) (float64, error) {
		defer b.stopServices(ctx)
		if err := b.admin.DeleteConsumerGroup(name); err != nil && !errors.Is(err, sarama.ErrGroupIDNotFound) {
			return 0, err
		}
		prefix := rand.Text() + ":"
		consumer, err := b.start(name, append(environ, "REDIS_KEY_PREFIX="+prefix))
		if err != nil {
			return 0, err
		}
		client := redis.NewClient(&redis.Options{Addr: b.redis})
		defer func() { _ = client.Close() }()
		return b.awaitAll(ctx, consumer, func() (int, error) {
			const sum = `local sum = 0 for p = 0, 5 do sum = sum + (redis.call('HGET', KEYS[1], p) or 0) end return sum`
			return client.Eval(ctx, sum, []string{prefix + offsets}).Int()
		})
	}
}

// awaitAll polls the number of events that a service has processed until it has processed all, and returns the
// rate. The time starts with the first number above 0: start-up and joining a group do not count.
func (b *bench) awaitAll(ctx context.Context, s *service, processed func() (int, error)) (float64, error) {
	var first int
	var began time.Time
	err := s.await(ctx, func() (bool, error) {
		n, err := processed()
		if n > 0 && first == 0 {
			first, began = n, time.Now()
		}
		return n >= b.events, err
	})
	return float64(b.events-first) / time.Since(began).Seconds(), err
}

// readAll has kcat read the topic and print a line with key and value for each record.
var readAll = []string{"-C", "-t", event.Topic, "-o", "beginning", "-e", "-f", `%k\t%s\n`}

// kcatProduces measures kcat as a producer of the same records to another topic.
func (b *bench) kcatProduces(ctx context.Context) (float64, error) {
	var records bytes.Buffer
	if _, err := b.kcat(&records, readAll...)(ctx); err != nil {
		return 0, err
	}
	file := filepath.Join(b.dir, "records")
	if err := os.WriteFile(file, records.Bytes(), 0o600); err != nil {
		return 0, err
	}
	return b.kcat(nil, "-P", "-t", bareTopic, "-X", "acks=all", "-K", `\t`, "-l", file)(ctx)
}

// kcat measures a run that processes all events.
func (b *bench) kcat(output io.Writer, args ...string) rate {
	return func(ctx context.Context) (float64, error) {
		cmd := exec.CommandContext(ctx, "kcat", append([]string{"-q", "-b", b.kafka}, args...)...)
		var stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = output, &stderr
		began := time.Now()
		if err := cmd.Run(); err != nil {
			return 0, fmt.Errorf("kcat: %w: %s", err, &stderr)
		}
		return float64(b.events) / time.Since(began).Seconds(), nil
	}
}
