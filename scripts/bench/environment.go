package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	_ "github.com/lib/pq" // the driver of database/sql
	"golang.org/x/sync/errgroup"

	"example.com/todo/contracts/event"
	"example.com/todo/scripts/internal/proc"
	"example.com/todo/scripts/internal/server"
)

const (
	partitions  = 6
	stopTimeout = 10 * time.Second
)

// environment is what both benchmarks work with: servers, built services, and running processes.
type environment struct {
	dir          string // built programs and logs
	launcher     *proc.Launcher
	superuserDSN string
	redis        string // addresses
	brokers      string
	running      []*proc.Process
}

// openEnvironment builds the services as they are deployed. The tools must be installed, and the servers be
// named by the variables of devstack with.
func openEnvironment(ctx context.Context, tools, services []string) (*environment, error) {
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("%s is needed for the comparison, install it: %w", tool, err)
		}
	}
	e := &environment{launcher: proc.NewLauncher()}
	for name, value := range map[string]*string{
		"TEST_POSTGRES_DSN": &e.superuserDSN, "TEST_REDIS_ADDR": &e.redis, "TEST_KAFKA_BROKERS": &e.brokers,
	} {
		if *value = os.Getenv(name); *value == "" {
			return nil, fmt.Errorf("%s is not set: run this under devstack with", name)
		}
	}
	var err error
	if e.dir, err = os.MkdirTemp("", "bench-"); err != nil {
		return nil, err
	}
	for _, service := range services {
		cmd := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(e.dir, service), "./cmd/"+service)
		cmd.Dir, cmd.Env = filepath.Join("..", service), append(os.Environ(), "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			e.close(ctx)
			return nil, fmt.Errorf("build %s: %w\n%s", service, err, out)
		}
	}
	return e, nil
}

// close stops the processes and deletes the folder.
func (e *environment) close(ctx context.Context) {
	_ = e.stopAll(ctx) // killed or not, they have exited
	_ = os.RemoveAll(e.dir)
}

// createTopics creates the services' topics and one for the comparison.
func (e *environment) createTopics(ctx context.Context, comparison string) error {
	const records = 1 << 20
	return server.EnsureTopics(ctx, e.brokers,
		server.Topic{Name: event.DLQTopic, Partitions: partitions, MaxBytes: records + 64<<10},
		server.Topic{Name: event.Topic, Partitions: partitions, MaxBytes: records},
		server.Topic{Name: comparison, Partitions: partitions, MaxBytes: records},
	)
}

// createDatabase creates a database with todo-service's schema. environ is the environment of a service that
// uses it and listens on free ports.
func (e *environment) createDatabase(ctx context.Context, name string) (db *sql.DB, dsn string, environ []string, err error) {
	admin, err := sql.Open("postgres", e.superuserDSN)
	if err != nil {
		return nil, "", nil, err
	}
	defer func() { _ = admin.Close() }()
	if _, err := admin.ExecContext(ctx, `CREATE DATABASE bench_`+name); err != nil {
		return nil, "", nil, err
	}
	at, err := url.Parse(e.superuserDSN)
	if err != nil {
		return nil, "", nil, err
	}
	at.Path = "/bench_" + name
	dsn = at.String()
	environ = append(os.Environ(),
		"POSTGRES_DSN="+dsn, "REDIS_ADDR="+e.redis, "KAFKA_BROKERS="+e.brokers,
		"HTTP_ADDR=127.0.0.1:0", "GRPC_ADDR=127.0.0.1:0", "OPS_ADDR=127.0.0.1:0", "LOG_FORMAT=json")
	migrate := exec.CommandContext(ctx, filepath.Join(e.dir, "todo-service"), "migrate")
	migrate.Env = environ
	if out, err := migrate.CombinedOutput(); err != nil {
		return nil, "", nil, fmt.Errorf("migrate: %w\n%s", err, out)
	}
	db, err = sql.Open("postgres", dsn)
	return db, dsn, environ, err
}

// start runs a built service, or a program with an absolute path.
func (e *environment) start(program string, env []string, log io.Writer, args ...string) (*proc.Process, error) {
	path := program
	if !filepath.IsAbs(path) {
		path = filepath.Join(e.dir, program)
	}
	p, err := e.launcher.Start(proc.Command{Path: path, Args: args, Env: env, Stdout: log, Stderr: log})
	if err == nil {
		e.running = append(e.running, p)
	}
	return p, err
}

// stopAll stops all processes: they would take processor time from the next row.
func (e *environment) stopAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	var all errgroup.Group
	for _, p := range e.running {
		all.Go(func() error { return p.Stop(ctx) })
	}
	e.running = nil
	return all.Wait()
}

// await polls a condition. The exit of p is an error.
func await(ctx context.Context, p *proc.Process, condition func() bool) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.Done():
			return errors.New("the process exited")
		case <-tick.C:
		}
	}
	return nil
}
