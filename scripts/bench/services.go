package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/IBM/sarama"
	_ "github.com/lib/pq" // the driver of database/sql

	"example.com/todo/contracts/event"
	"example.com/todo/platform/retry"
	"example.com/todo/scripts/internal/port"
	"example.com/todo/scripts/internal/proc"
	"example.com/todo/scripts/internal/startup"
)

const (
	pollInterval = 2 * time.Millisecond
	awaitTimeout = 2 * time.Minute
	stopTimeout  = 10 * time.Second
	quotedBytes  = 2_000 // of a log, in an error
)

const bareTopic = "bench-bare" // of the other side

// bench is what every row works with: settings, servers, built services, and running processes.
type bench struct {
	each   time.Duration // of one measurement
	rounds int
	tasks  int      // in the large database
	events int      // in the event log
	only   []string // names of rows

	dir          string // built services, their logs, input of the load generators
	launcher     *proc.Launcher
	running      []*service
	ports        []*port.Block
	postgresDSN  string // of a superuser
	postgres     *sql.DB
	redis, kafka string              // addresses
	admin        sarama.ClusterAdmin // of Kafka
}

// open creates the topics and builds the services. The variables of devstack with name the servers.
func (b *bench) open(ctx context.Context) (err error) {
	b.postgresDSN = os.Getenv("TEST_POSTGRES_DSN")
	b.redis, b.kafka = os.Getenv("TEST_REDIS_ADDR"), os.Getenv("TEST_KAFKA_BROKERS")
	if b.postgresDSN == "" || b.redis == "" || b.kafka == "" {
		return errors.New("TEST_POSTGRES_DSN, TEST_REDIS_ADDR or TEST_KAFKA_BROKERS is not set: run this under devstack with")
	}
	if b.postgres, err = sql.Open("postgres", b.postgresDSN); err != nil {
		return err
	}
	if b.admin, err = sarama.NewClusterAdmin([]string{b.kafka}, sarama.NewConfig()); err != nil {
		return err
	}
	for _, topic := range []string{event.Topic, event.DLQTopic, bareTopic} {
		// The benchmark deletes the topics of the events, so that an existing one is an error.
		if err := b.admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 6, ReplicationFactor: 1}, false); err != nil {
			return fmt.Errorf("create topic %s, which needs a Kafka of the benchmark's own: %w", topic, err)
		}
	}
	repository, err := filepath.Abs("..")
	if err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "bench-"); err != nil {
		return err
	}
	services := []string{"todo-service", "stats-service", "notification-service"}
	return b.launcher.Run(ctx, startup.BuildCommand(repository, b.dir, services))
}

// todoService is a todo-service with its own database and Redis keys.
type todoService struct {
	*sql.DB
	dsn        string
	environ    []string
	http, grpc string // base URL, and address
}

// newTodo creates the database and fills it with n rows. The service does not run yet.
func (b *bench) newTodo(ctx context.Context, name, fill string, n int) (*todoService, error) {
	if _, err := b.postgres.ExecContext(ctx, `CREATE DATABASE bench_`+name); err != nil {
		return nil, err
	}
	dsn, err := url.Parse(b.postgresDSN)
	if err != nil {
		return nil, err
	}
	dsn.Path = "/bench_" + name
	ports, err := port.Reserve(ctx, 2)
	if err != nil {
		return nil, err
	}
	b.ports = append(b.ports, ports) // reserved until the end of this process
	httpAddr, grpcAddr := port.Addr(ports.Ports[0]), port.Addr(ports.Ports[1])
	todo := &todoService{dsn: dsn.String(), http: "http://" + httpAddr, grpc: grpcAddr}
	todo.environ = append(os.Environ(),
		"POSTGRES_DSN="+todo.dsn, "REDIS_ADDR="+b.redis, "REDIS_KEY_PREFIX="+name+":", "KAFKA_BROKERS="+b.kafka,
		"HTTP_ADDR="+httpAddr, "GRPC_ADDR="+grpcAddr, "OPS_ADDR=127.0.0.1:0", "LOG_FORMAT=json", "DRAIN_WAIT=0s",
		"RATE_LIMIT_REQUESTS=1000000000", "RATE_LIMIT_WINDOW=1s", "MAX_CONNS_PER_CLIENT=10000")
	migrate := proc.Command{Path: filepath.Join(b.dir, "todo-service"), Args: []string{"migrate"}, Env: todo.environ}
	if err := b.launcher.Run(ctx, migrate); err != nil {
		return nil, err
	}
	if todo.DB, err = sql.Open("postgres", todo.dsn); err != nil {
		return nil, err
	}
	if _, err = todo.ExecContext(ctx, fill, n); err != nil {
		return nil, err
	}
	_, err = todo.ExecContext(ctx, `VACUUM ANALYZE`)
	return todo, err
}

// startTodo starts a service with a number of open tasks and further settings. It inserts no events: the database
// looks as if all had been sent.
func (b *bench) startTodo(ctx context.Context, name string, tasks int, settings ...string) (*todoService, error) {
	todo, err := b.newTodo(ctx, name, `INSERT INTO tasks (title, priority, done, created_at, version)
		SELECT 'Learn Go, lesson ' || i, i % 100, false, now(), 1 FROM generate_series(1, $1) i`, tasks)
	if err != nil {
		return nil, err
	}
	s, err := b.start("todo-service", append(todo.environ, settings...))
	if err != nil {
		return nil, err
	}
	return todo, s.await(ctx, func() (bool, error) {
		_, _, err := request(ctx, http.MethodGet, todo.http+"/tasks", "")
		return err == nil, nil
	})
}

// service is a running service that writes its log to a file.
type service struct {
	*proc.Process
	log string
}

func (b *bench) start(name string, environ []string) (*service, error) {
	log, err := os.CreateTemp(b.dir, name+"-*.log")
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	p, err := b.launcher.Start(proc.Command{Path: filepath.Join(b.dir, name), Env: environ, Stdout: log, Stderr: log})
	if err != nil {
		return nil, err
	}
	started := &service{p, log.Name()}
	b.running = append(b.running, started)
	return started, nil
}

// stopServices stops the running services, even after the end of ctx.
func (b *bench) stopServices(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	for _, p := range b.running {
		_ = p.Stop(ctx) // killed or not, it has exited
	}
	b.running = nil
}

// await polls a condition. The exit of the service is an error, which quotes the end of its log.
func (s *service) await(ctx context.Context, condition func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, awaitTimeout)
	defer cancel()
	go func() {
		<-s.Done()
		cancel()
	}()
	for retry.Wait(ctx, pollInterval) {
		if met, err := condition(); met || err != nil {
			return err
		}
	}
	log, _ := os.ReadFile(s.log)
	return fmt.Errorf("wait for a service: %w; its log ends with:\n%s", ctx.Err(), log[max(0, len(log)-quotedBytes):])
}
