package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/IBM/sarama"
	_ "github.com/lib/pq" // the driver of database/sql
	"github.com/redis/go-redis/v9"

	"example.com/todo/contracts/event"
	"example.com/todo/scripts/internal/proc"
	"example.com/todo/scripts/internal/server"
)

const (
	partitions = 6
	copyTopic  = "bench-kcat" // what kcat writes to
)

// bench is the servers, the built services, and a log of so many events.
type bench struct {
	events   int
	dir      string
	launcher *proc.Launcher
	db       *sql.DB
	dsn      string
	redis    *redis.Client
	brokers  string
	admin    sarama.ClusterAdmin
}

func open(ctx context.Context, events int) (*bench, error) {
	if _, err := exec.LookPath("kcat"); err != nil {
		return nil, fmt.Errorf("kcat is what everything is compared with; install it: %w", err)
	}
	var env [3]string
	for i, name := range []string{"TEST_POSTGRES_DSN", "TEST_REDIS_ADDR", "TEST_KAFKA_BROKERS"} {
		if env[i] = os.Getenv(name); env[i] == "" {
			return nil, fmt.Errorf("%s is not set: run it through devstack with", name)
		}
	}
	b := &bench{events: events, launcher: proc.NewLauncher(), brokers: env[2], redis: redis.NewClient(&redis.Options{Addr: env[1]})}
	for _, step := range []func(context.Context) error{b.openKafka, b.build, func(ctx context.Context) error { return b.openLog(ctx, env[0]) }} {
		if err := step(ctx); err != nil {
			b.close()
			return nil, err
		}
	}
	return b, nil
}

func (b *bench) close() {
	if b.admin != nil {
		_ = b.admin.Close()
	}
	if b.db != nil {
		_ = b.db.Close()
	}
	_ = b.redis.Close()
	_ = os.RemoveAll(b.dir)
}

// openKafka refuses a Kafka that somebody uses: the topics are made and removed
// again and again.
func (b *bench) openKafka(ctx context.Context) (err error) {
	if b.admin, err = sarama.NewClusterAdmin([]string{b.brokers}, sarama.NewConfig()); err != nil {
		return err
	}
	topics, err := b.admin.ListTopics()
	if err != nil {
		return err
	}
	if _, used := topics[event.Topic]; used {
		return fmt.Errorf("the Kafka on %s has a topic %s: give me one of my own", b.brokers, event.Topic)
	}
	return b.makeTopics(ctx)
}

// build builds the services as they are deployed.
func (b *bench) build(ctx context.Context) (err error) {
	if b.dir, err = os.MkdirTemp("", "bench-events-"); err != nil {
		return err
	}
	for _, service := range []string{"todo-service", "stats-service", "notification-service"} {
		cmd := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(b.dir, service), "./cmd/"+service)
		cmd.Dir, cmd.Env = filepath.Join("..", service), append(os.Environ(), "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", service, err, out)
		}
	}
	return nil
}

// openLog makes a database whose log holds the events, as if they had been
// committed while no relay ran.
func (b *bench) openLog(ctx context.Context, superuser string) error {
	admin, err := sql.Open("postgres", superuser)
	if err != nil {
		return err
	}
	defer func() { _ = admin.Close() }()
	if _, err := admin.ExecContext(ctx, `CREATE DATABASE bench_events`); err != nil {
		return err
	}
	dsn, err := url.Parse(superuser)
	if err != nil {
		return err
	}
	dsn.Path = "/bench_events"
	b.dsn = dsn.String()
	if b.db, err = sql.Open("postgres", b.dsn); err != nil {
		return err
	}
	migrate := exec.CommandContext(ctx, filepath.Join(b.dir, "todo-service"), "migrate")
	migrate.Env = b.env()
	if out, err := migrate.CombinedOutput(); err != nil {
		return fmt.Errorf("migrate: %w\n%s", err, out)
	}
	_, err = b.db.ExecContext(ctx, `
		INSERT INTO events (id, type, task_id, title, priority, done, created_at, completed_at, version, at, traceparent)
		SELECT gen_random_uuid(), (ARRAY['task.created', 'task.updated', 'task.completed', 'task.deleted'])[v], i,
			'Learn Go, lesson ' || i, 1, v >= 3, now(), CASE WHEN v >= 3 THEN now() END, v, now(),
			'00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
		FROM generate_series(1, 4) AS v, generate_series(1, $1 / 4) AS i ORDER BY v, i`, b.events)
	return err
}

func (b *bench) makeTopics(ctx context.Context) error {
	const records = 1 << 20
	return server.EnsureTopics(ctx, b.brokers,
		server.Topic{Name: event.DLQTopic, Partitions: partitions, MaxBytes: records + 64<<10},
		server.Topic{Name: event.Topic, Partitions: partitions, MaxBytes: records},
		server.Topic{Name: copyTopic, Partitions: partitions, MaxBytes: records},
	)
}

// env is the environment of a service on free ports.
func (b *bench) env(more ...string) []string {
	env := append(os.Environ(),
		"POSTGRES_DSN="+b.dsn, "REDIS_ADDR="+b.redis.Options().Addr, "KAFKA_BROKERS="+b.brokers,
		"HTTP_ADDR=127.0.0.1:0", "GRPC_ADDR=127.0.0.1:0", "OPS_ADDR=127.0.0.1:0",
		"LOG_FORMAT=json", "TRACING_SAMPLE_RATIO=0")
	return append(env, more...)
}

// during runs a service while work does.
func (b *bench) during(ctx context.Context, service string, env []string, work func(context.Context) (float64, error)) (rate float64, err error) {
	log, err := os.Create(filepath.Join(b.dir, service+".log"))
	if err != nil {
		return 0, err
	}
	defer func() { _ = log.Close() }()
	process, err := b.launcher.Start(proc.Command{Path: filepath.Join(b.dir, service), Env: env, Stdout: log, Stderr: log})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		<-process.Done()
		cancel()
	}()
	if rate, err = work(ctx); err != nil {
		text, _ := os.ReadFile(log.Name())
		err = fmt.Errorf("%s: %w\n%s", service, err, lastLines(text))
	}
	patience, done := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer done()
	return rate, errors.Join(err, process.Stop(patience))
}

func lastLines(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}
