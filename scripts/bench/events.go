package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/IBM/sarama"
	"github.com/redis/go-redis/v9"

	"example.com/todo/contracts/event"
)

// Limits of the events benchmark.
const (
	minDrainRatio   = 0.1 // to kcat
	minConsumeRatio = 0.35
	minDrainRate    = 20_000 // events/s
)

const copyTopic = "bench-kcat" // kcat's output

type eventsOptions struct {
	events int // in the log
	rounds int
}

// eventsBench measures the way of events from the event log to Kafka, and from Kafka to the consumers'
// effects.
type eventsBench struct {
	*environment
	eventsOptions
	db      *sql.DB
	environ []string // of a service
	client  *redis.Client
	admin   sarama.ClusterAdmin
}

func runEvents(ctx context.Context, o eventsOptions) error {
	e, err := openEnvironment(ctx, []string{"kcat"}, []string{"todo-service", "stats-service", "notification-service"})
	if err != nil {
		return err
	}
	defer e.close(ctx)
	b := &eventsBench{environment: e, eventsOptions: o, client: redis.NewClient(&redis.Options{Addr: e.redis})}
	defer func() { _ = b.client.Close() }()
	if b.admin, err = sarama.NewClusterAdmin([]string{e.brokers}, sarama.NewConfig()); err != nil {
		return err
	}
	defer func() { _ = b.admin.Close() }()
	if err := b.requireUnusedKafka(); err != nil {
		return err
	}
	if err := b.createTopics(ctx, copyTopic); err != nil {
		return err
	}
	if err := b.fillLog(ctx); err != nil {
		return err
	}
	defer func() { _ = b.db.Close() }()
	fmt.Printf("%d events, a quarter of them completions; medians of %d rounds, in events/s\n\n", o.events, o.rounds)
	printHeader("kcat")

	drained, err := b.compareRates(ctx, "draining a backlog to Kafka, acks=all", minDrainRatio, b.drain, b.kcatProduces)
	if drained > 0 && drained < minDrainRate {
		err = errors.Join(err, fmt.Errorf("draining a backlog: %.0f events/s, below %d", drained, minDrainRate))
	}
	_, errStats := b.compareRates(ctx, "consuming and counting (stats-service)", minConsumeRatio, b.statsConsumes, b.kcatConsumes)
	_, errNotify := b.compareRates(ctx, "consuming and notifying (to the log)", 0, b.notificationsConsume, b.kcatConsumes)
	return errors.Join(err, errStats, errNotify)
}

func (b *eventsBench) compareRates(ctx context.Context, what string, limit float64, ours, kcat rate) (median float64, err error) {
	first, second, err := compare(ctx, b.rounds, ours, kcat)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	return first, atLeast(what, first, second, limit)
}

// requireUnusedKafka protects a Kafka in use: the benchmark deletes the topic of the events in every round.
func (b *eventsBench) requireUnusedKafka() error {
	topics, err := b.admin.ListTopics()
	if err != nil {
		return err
	}
	if _, used := topics[event.Topic]; used {
		return fmt.Errorf("the Kafka on %s has a topic %s already: the benchmark needs a Kafka of its own", b.brokers, event.Topic)
	}
	return nil
}

// fillLog creates a database whose event log looks as if no relay had run since the first commit.
func (b *eventsBench) fillLog(ctx context.Context) (err error) {
	if b.db, _, b.environ, err = b.createDatabase(ctx, "events"); err != nil {
		return err
	}
	b.environ = append(b.environ, "TRACING_SAMPLE_RATIO=0")
	_, err = b.db.ExecContext(ctx, `
		INSERT INTO events (id, type, task_id, title, priority, done, created_at, completed_at, version, at, traceparent)
		SELECT gen_random_uuid(), (ARRAY['task.created', 'task.updated', 'task.completed', 'task.deleted'])[v], i,
			'Learn Go, lesson ' || i, 1, v >= 3, now(), CASE WHEN v >= 3 THEN now() END, v, now(),
			'00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
		FROM generate_series(1, 4) AS v, generate_series(1, $1 / 4) AS i ORDER BY v, i`, b.events)
	return err
}

// runServiceDuring runs a service while measure runs. The exit of the service cancels measure.
func (b *eventsBench) runServiceDuring(ctx context.Context, service string, measure rate, environ ...string) (measured float64, err error) {
	log, err := os.Create(filepath.Join(b.dir, service+".log"))
	if err != nil {
		return 0, err
	}
	defer func() { _ = log.Close() }()
	process, err := b.start(service, slices.Concat(b.environ, environ), log)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, b.stopAll(context.WithoutCancel(ctx))) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		<-process.Done()
		cancel()
	}()
	if measured, err = measure(ctx); err != nil {
		text, _ := os.ReadFile(log.Name())
		return 0, fmt.Errorf("%s: %w\n%s", service, err, lastLines(text))
	}
	return measured, nil
}

func lastLines(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}
