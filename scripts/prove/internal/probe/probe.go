// Package probe implements black box probes of the cluster: how far events have been sent and
// handled, which replica relays, and what tables, topics and statistics hold. It connects to the
// servers directly.
package probe

import (
	"context"
	"database/sql"
	"errors"
	"time"

	_ "github.com/lib/pq" // registers the driver
	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/todo/scripts/prove/internal/signin"
)

const requestTimeout = 2 * time.Second

// Config has the addresses of the servers.
type Config struct {
	PostgresDSN string
	Brokers     []string
	Redis       string         // of the state
	Stats       []string       // HTTP address of every replica of stats-service
	Todo        []string       // HTTP address of every replica of todo-service
	Admin       *signin.User   // may read the statistics of all users; nil without sign-in
	Users       []*signin.User // of the clients
}

// Probe queries the servers. It is safe for concurrent use. Its methods return an error while a
// server is down.
type Probe struct {
	Config
	db    *sql.DB
	redis *redis.Client
	kafka *kadm.Client
}

// New returns a Probe without connecting.
func New(cfg Config) (*Probe, error) {
	db, err := sql.Open("postgres", cfg.PostgresDSN+"&connect_timeout=2&application_name=prove")
	if err != nil {
		return nil, err
	}
	kafka, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...))
	if err != nil {
		return nil, err
	}
	client := redis.NewClient(&redis.Options{
		Addr: cfg.Redis, ContextTimeoutEnabled: true, MaxRetries: -1, DialTimeout: requestTimeout,
	})
	return &Probe{Config: cfg, db: db, redis: client, kafka: kadm.NewClient(kafka)}, nil
}

// Close closes the connections.
func (p *Probe) Close() {
	_ = p.db.Close()
	_ = p.redis.Close()
	p.kafka.Close()
}

// Progress is the progress of the events.
type Progress struct {
	UnsentKafka int64 // not in Kafka
	UnsentLive  int64 // not in the live feed
	Completed   int64 // events that complete a task
}

// Progress queries the database.
func (p *Probe) Progress(ctx context.Context) (progress Progress, err error) {
	err = p.queryRow(ctx, `
		SELECT head - kafka_seq + new.n, head - live_seq + new.n,
			(SELECT count(*) FROM events WHERE type = 'task.completed')
		FROM stream, (SELECT count(*) AS n FROM events WHERE seq IS NULL) AS new`,
		&progress.UnsentKafka, &progress.UnsentLive, &progress.Completed)
	return progress, err
}

// ActiveRelay returns the replica that holds the lock of the relay's Kafka cursor, by its
// application_name; "" if no replica does.
func (p *Probe) ActiveRelay(ctx context.Context) (name string, err error) {
	err = p.queryRow(ctx, `
		SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)
		WHERE l.locktype = 'advisory' AND l.classid = 1953459311 AND l.objid = 1 AND l.granted`, &name)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return name, err
}

func (p *Probe) queryRow(ctx context.Context, query string, columns ...any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return p.db.QueryRowContext(ctx, query).Scan(columns...)
}

// CountedCompletions returns the number of completions that stats-service has counted.
func (p *Probe) CountedCompletions(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	n, err := p.redis.Get(ctx, "stats:tasks:completed").Int64()
	if errors.Is(err, redis.Nil) {
		return 0, nil
	}
	return n, err
}
