package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"example.com/todo/scripts/internal/port"
)

type httpOptions struct {
	duration time.Duration // of one measurement
	rounds   int
	tasks    int // in the large database
	only     []string
}

// httpBench measures requests to todo-service.
type httpBench struct {
	*environment
	httpOptions
	ports *port.Block
}

// httpRows are in the order of their measurement. notify is the first: it would have to read the events of
// the others.
var httpRows = []struct {
	name    string
	measure func(*httpBench, context.Context) error
}{
	{"notify", (*httpBench).notify},
	{"hit", (*httpBench).hit},
	{"fresh", (*httpBench).fresh},
	{"create", (*httpBench).create},
	{"complete", (*httpBench).complete},
	{"get", (*httpBench).get},
	{"size", (*httpBench).size},
}

func runHTTP(ctx context.Context, o httpOptions) error {
	ports, err := port.Reserve(ctx, 1)
	if err != nil {
		return err
	}
	defer ports.Close()
	e, err := openEnvironment(ctx, []string{"wrk", "pgbench"}, []string{"todo-service", "notification-service"})
	if err != nil {
		return err
	}
	defer e.close(ctx)
	if err := e.createTopics(ctx, bareTopic); err != nil {
		return err
	}
	b := &httpBench{environment: e, httpOptions: o, ports: ports}
	fmt.Printf("medians of %d rounds of %v; all features on, the rate limit raised\n\n", o.rounds, o.duration)
	printHeader("theirs")
	var missed []error
	for _, row := range httpRows {
		if !slices.Contains(o.only, row.name) {
			continue
		}
		if err := row.measure(b, ctx); err != nil {
			missed = append(missed, fmt.Errorf("%s: %w", row.name, err))
		}
	}
	return errors.Join(missed...)
}

// compareRates prints a row of rates: ours must be at least limit times theirs.
func (b *httpBench) compareRates(ctx context.Context, what string, limit float64, ours, theirs rate) error {
	first, second, err := compare(ctx, b.rounds, ours, theirs)
	if err != nil {
		return err
	}
	return atLeast(what, first, second, limit)
}

// instance is a todo-service with its own database and Redis keys.
type instance struct {
	dsn        string
	db         *sql.DB
	env        []string
	http, grpc string // addresses
}

// newInstance starts a service with a number of open tasks. It inserts no events: the database looks as if
// all had been sent.
func (b *httpBench) newInstance(ctx context.Context, name string, tasks int) (*instance, error) {
	db, dsn, environ, err := b.createDatabase(ctx, name)
	if err != nil {
		return nil, err
	}
	i := &instance{dsn: dsn, db: db, env: append(environ, "REDIS_KEY_PREFIX="+name+":",
		"RATE_LIMIT_REQUESTS=1000000000", "RATE_LIMIT_WINDOW=1s", "MAX_CONNS_PER_CLIENT=10000")}
	_, err = db.ExecContext(ctx, `INSERT INTO tasks (title, priority, done, created_at, version)
		SELECT 'Learn Go, lesson ' || i, i % 100, false, now(), 1 FROM generate_series(1, $1) i`, tasks)
	if err != nil {
		return nil, err
	}
	if _, err := db.ExecContext(ctx, `VACUUM ANALYZE tasks`); err != nil {
		return nil, err
	}
	return i, b.serve(ctx, i)
}

// serve starts todo-service and reads its addresses from its log.
func (b *httpBench) serve(ctx context.Context, i *instance) error {
	log, err := os.CreateTemp(b.dir, "todo-service-*.log")
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	p, err := b.start("todo-service", i.env, log)
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
				i.http, i.grpc = line.HTTP, line.GRPC
			}
		}
		return i.http != ""
	})
}
