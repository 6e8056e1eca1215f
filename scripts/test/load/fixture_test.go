package load

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/uuid"
	_ "github.com/lib/pq" // the driver
)

const (
	topic      = "task-events"
	partitions = 6
)

// fixture is what the replicas of one test share: a database, a key prefix in Redis, and the topic, which other
// tests use, too.
type fixture struct {
	program string
	env     []string
	db      *sql.DB
	kafka   sarama.Client
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	w := &fixture{}
	dsn := w.database(t)
	brokers := need(t, "TEST_KAFKA_BROKERS")
	w.env = append(os.Environ(),
		"POSTGRES_DSN="+dsn, "REDIS_ADDR="+need(t, "TEST_REDIS_ADDR"), "REDIS_KEY_PREFIX="+uuid.NewString()+":",
		"KAFKA_BROKERS="+brokers, "RATE_LIMIT_REQUESTS=1000000000",
		// All clients come from one address.
		"WATCH_MAX_PER_CLIENT=10000", "MAX_CONNS_PER_CLIENT=10000", "LOG_FORMAT=json", "LOG_LEVEL=WARN")
	w.topic(t, strings.Split(brokers, ","))
	var err error
	if w.program, err = program(); err != nil {
		t.Fatal(err)
	}
	migrate := exec.Command(w.program, "migrate")
	migrate.Env = w.env
	if out, err := migrate.CombinedOutput(); err != nil {
		t.Fatalf("migrate: %v\n%s", err, out)
	}
	return w
}

// need returns a variable of devstack with. Without it the test is skipped; in CI it fails.
func need(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	switch {
	case value != "":
	case os.Getenv("CI") == "true":
		t.Fatalf("%s is not set", name)
	default:
		t.Skipf("%s is not set: run this under devstack with", name)
	}
	return value
}

// database creates an empty database.
func (w *fixture) database(t *testing.T) (dsn string) {
	t.Helper()
	where, err := url.Parse(need(t, "TEST_POSTGRES_DSN"))
	if err != nil {
		t.Fatal(err)
	}
	admin := open(t, where.String())
	name := "load_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	if _, err := admin.Exec(`CREATE DATABASE ` + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = admin.Exec(`DROP DATABASE ` + name + ` WITH (FORCE)`) })
	where.Path = name
	w.db = open(t, where.String())
	return where.String()
}

func open(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// topic creates the topic unless it exists.
func (w *fixture) topic(t *testing.T, brokers []string) {
	t.Helper()
	cfg := sarama.NewConfig()
	cfg.Version = sarama.V2_8_0_0
	client, err := sarama.NewClient(brokers, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	err = admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}, false)
	if err != nil && !errors.Is(err, sarama.ErrTopicAlreadyExists) {
		t.Fatal(err)
	}
	w.kafka = client
}

// await polls a condition and fails the test after a while.
func await(t *testing.T, within time.Duration, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not within %v", what, within)
		}
	}
}
