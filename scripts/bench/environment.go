package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	_ "github.com/lib/pq" // the driver of database/sql

	"example.com/todo/contracts/event"
	"example.com/todo/scripts/internal/port"
	"example.com/todo/scripts/internal/proc"
	"example.com/todo/scripts/internal/server"
)

// bench is the servers, and the built services.
type bench struct {
	options
	dir      string
	launcher *proc.Launcher
	super    string // the DSN of a superuser
	redis    string
	brokers  string
	ports    *port.Block
	running  []*proc.Process
}

func open(ctx context.Context, o options) (*bench, error) {
	for _, tool := range []string{"wrk", "pgbench"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("everything is measured with wrk and pgbench; install them: %w", err)
		}
	}
	var env [3]string
	for i, name := range []string{"TEST_POSTGRES_DSN", "TEST_REDIS_ADDR", "TEST_KAFKA_BROKERS"} {
		if env[i] = os.Getenv(name); env[i] == "" {
			return nil, fmt.Errorf("%s is not set: run it through devstack with", name)
		}
	}
	b := &bench{options: o, launcher: proc.NewLauncher(), super: env[0], redis: env[1], brokers: env[2]}
	var err error
	if b.ports, err = port.Reserve(ctx, 1); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{b.build, b.makeTopics} {
		if err := step(ctx); err != nil {
			b.close(ctx)
			return nil, err
		}
	}
	return b, nil
}

func (b *bench) close(ctx context.Context) {
	b.stopAll(ctx)
	b.ports.Close()
	_ = os.RemoveAll(b.dir)
}

// build builds the services as they are deployed.
func (b *bench) build(ctx context.Context) (err error) {
	if b.dir, err = os.MkdirTemp("", "bench-edge-"); err != nil {
		return err
	}
	for _, service := range []string{"todo-service", "notification-service"} {
		cmd := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(b.dir, service), "./cmd/"+service)
		cmd.Dir, cmd.Env = filepath.Join("..", service), append(os.Environ(), "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", service, err, out)
		}
	}
	return nil
}

func (b *bench) makeTopics(ctx context.Context) error {
	const records, partitions = 1 << 20, 6
	return server.EnsureTopics(ctx, b.brokers,
		server.Topic{Name: event.DLQTopic, Partitions: partitions, MaxBytes: records + 64<<10},
		server.Topic{Name: event.Topic, Partitions: partitions, MaxBytes: records},
		server.Topic{Name: bareTopic, Partitions: partitions, MaxBytes: records},
	)
}

// world is a todo-service with a database and keys of its own.
type world struct {
	dsn        string
	db         *sql.DB
	env        []string
	http, grpc string
}

// newWorld starts a service over so many tasks, none of them done, in the state in
// which a running system leaves them: announced, and with statistics.
func (b *bench) newWorld(ctx context.Context, name string, tasks int) (*world, error) {
	admin, err := sql.Open("postgres", b.super)
	if err != nil {
		return nil, err
	}
	defer func() { _ = admin.Close() }()
	if _, err := admin.ExecContext(ctx, `CREATE DATABASE bench_`+name); err != nil {
		return nil, err
	}
	dsn, err := url.Parse(b.super)
	if err != nil {
		return nil, err
	}
	dsn.Path = "/bench_" + name
	w := &world{dsn: dsn.String(), env: append(os.Environ(),
		"POSTGRES_DSN="+dsn.String(), "REDIS_ADDR="+b.redis, "REDIS_KEY_PREFIX="+name+":", "KAFKA_BROKERS="+b.brokers,
		"HTTP_ADDR=127.0.0.1:0", "GRPC_ADDR=127.0.0.1:0", "OPS_ADDR=127.0.0.1:0",
		"LOG_FORMAT=json", "RATE_LIMIT_REQUESTS=1000000000", "RATE_LIMIT_WINDOW=1s", "MAX_CONNS_PER_CLIENT=10000")}
	migrate := exec.CommandContext(ctx, filepath.Join(b.dir, "todo-service"), "migrate")
	migrate.Env = w.env
	if out, err := migrate.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("migrate: %w\n%s", err, out)
	}
	if w.db, err = sql.Open("postgres", w.dsn); err != nil {
		return nil, err
	}
	_, err = w.db.ExecContext(ctx, `INSERT INTO tasks (title, priority, done, created_at, version)
		SELECT 'Learn Go, lesson ' || i, i % 100, false, now(), 1 FROM generate_series(1, $1) i`, tasks)
	if err != nil {
		return nil, err
	}
	if _, err := w.db.ExecContext(ctx, `VACUUM ANALYZE tasks`); err != nil {
		return nil, err
	}
	return w, b.serve(ctx, w)
}

// serve starts todo-service and reads from its log where it listens.
func (b *bench) serve(ctx context.Context, w *world) error {
	log, err := os.CreateTemp(b.dir, "todo-service-*.log")
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	p, err := b.start("todo-service", w.env, log)
	if err != nil {
		return err
	}
	return await(ctx, p, func() bool {
		file, err := os.Open(log.Name())
		if err != nil {
			return false
		}
		defer func() { _ = file.Close() }()
		for lines := bufio.NewScanner(file); lines.Scan(); {
			var line struct{ Msg, HTTP, GRPC string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
				w.http, w.grpc = line.HTTP, line.GRPC
			}
		}
		return w.http != ""
	})
}

// start runs a program of the bench's folder, or an absolute one.
func (b *bench) start(program string, env []string, log io.Writer, args ...string) (*proc.Process, error) {
	path := program
	if !filepath.IsAbs(path) {
		path = filepath.Join(b.dir, program)
	}
	p, err := b.launcher.Start(proc.Command{Path: path, Args: args, Env: env, Stdout: log, Stderr: log})
	if err == nil {
		b.running = append(b.running, p)
	}
	return p, err
}

// stopAll ends what was started, so that it is not in the way of the next part.
func (b *bench) stopAll(ctx context.Context) {
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	var all sync.WaitGroup
	for _, p := range b.running {
		all.Go(func() { _ = p.Stop(patience) })
	}
	all.Wait()
	b.running = nil
}

func await(ctx context.Context, p *proc.Process, holds func() bool) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.Done():
			return errors.New("it ended at once")
		case <-tick.C:
		}
	}
	return nil
}
