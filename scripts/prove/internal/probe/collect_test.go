package probe_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/pressly/goose/v3"
	"github.com/twmb/franz-go/pkg/kfake"

	"example.com/todo/platform/testenv"
	"example.com/todo/scripts/prove/internal/history"
	"example.com/todo/scripts/prove/internal/probe"
)

// createDatabase creates an empty database for the test.
func createDatabase(t *testing.T) (dsn string, db *sql.DB) {
	t.Helper()
	where, err := url.Parse(testenv.RequireEnv(t, "TEST_POSTGRES_DSN"))
	if err != nil {
		t.Fatal(err)
	}
	admin := openDatabase(t, where.String())
	name := "checker_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	exec(t, admin, `CREATE DATABASE `+name)
	t.Cleanup(func() { exec(t, admin, `DROP DATABASE `+name+` WITH (FORCE)`) })
	where.Path = name
	return where.String(), openDatabase(t, where.String())
}

func openDatabase(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func exec(t *testing.T, db *sql.DB, statement string, args ...any) {
	t.Helper()
	if _, err := db.Exec(statement, args...); err != nil {
		t.Fatalf("%v\n%s", err, statement)
	}
}

// migrate applies the service's own migrations, whose tables the checker reads.
func migrate(t *testing.T, db *sql.DB) {
	t.Helper()
	migrations := os.DirFS("../../../../todo-service/internal/pgstore/migrations")
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestCollectReadsAllTablesAndStats(t *testing.T) {
	t.Parallel()
	dsn, db := createDatabase(t)
	migrate(t, db)
	at := time.Date(2026, 1, 15, 10, 0, 0, 123456000, time.UTC)
	ids := []string{uuid.NewString(), uuid.NewString()}
	exec(t, db, `INSERT INTO users (email, role, created_at) VALUES ('ann@example.com', 'user', $1)`, at)
	exec(t, db, `INSERT INTO tasks (title, priority, done, created_at, completed_at, version, user_id) VALUES ('naïve 漢字', 7, true, $1, $1, 2, 1)`, at)
	for i, of := range []string{"task.created", "task.completed"} {
		exec(t, db, `INSERT INTO events (id, seq, type, task_id, title, priority, done, created_at, completed_at, version, at, traceparent, user_id)
			VALUES ($1, $2, $3, 1, 'naïve 漢字', 7, $4, $5::timestamptz, CASE WHEN $4 THEN $5::timestamptz END, $6, $5::timestamptz, '', $7)`,
			ids[i], sql.NullInt64{Int64: 1, Valid: i == 0}, of, i == 1, at, i+1, sql.NullInt64{Int64: 1, Valid: i == 0})
	}
	exec(t, db, `INSERT INTO idempotency_keys VALUES ('a key', $1, 1, 'naïve 漢字', 7, $2)`, ids[0], at)
	p := newProbe(t, dsn)
	got := history.Run{}
	if err := p.Collect(t.Context(), &got); err != nil {
		t.Fatal(err)
	}
	created := history.Task{ID: 1, Title: "naïve 漢字", Priority: 7, Version: 1}
	completed := history.Task{ID: 1, Title: "naïve 漢字", Priority: 7, Version: 2, Done: true}
	want := history.Run{
		Tasks:  []history.Task{completed},
		Owners: map[int64]int64{1: 1},
		Events: []history.Event{
			{Pos: 1, Seq: 1, ID: ids[0], Type: "task.created", Task: created, UserID: 1, At: at},
			{Pos: 2, Seq: 0, ID: ids[1], Type: "task.completed", Task: completed, At: at},
		},
		Keys: []history.Key{{Key: "a key", EventID: ids[0], TaskID: 1}},
		Stats: []history.StatsReport{
			{Replica: 1, Total: 5, ByDay: map[string]int64{"2026-01-15": 3, "2026-01-16": 2}, Lag: 4, Complete: true},
			{Replica: 2, ByDay: map[string]int64{}, Lag: -1},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := p.CollectReplay(t.Context(), &got.Replay); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(history.Replay{Events: 2, Stats: want.Stats}, got.Replay); diff != "" {
		t.Errorf("again (-want +got):\n%s", diff)
	}
}

func TestHandledRecordsReadsTheMetricOfAConsumer(t *testing.T) {
	t.Parallel()
	p := &probe.Probe{}
	for name, c := range map[string]struct {
		metrics string
		want    int64
		failure string
	}{
		"handled records": {`# TYPE kafka_consumer_records_total counter
kafka_consumer_records_total{group="stats-service",outcome="dead_lettered"} 7
kafka_consumer_records_total{group="stats-service",outcome="handled"} 1.234567e+06
`, 1_234_574, ""},
		"no such metric": {"go_goroutines 5\n", 0, "200 OK has no metric kafka_consumer_records_total"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, c.metrics) }))
		got, err := p.HandledRecords(t.Context(), server.Listener.Addr().String())
		server.Close()
		if got != c.want || (err == nil) != (c.failure == "") || err != nil && !strings.Contains(err.Error(), c.failure) {
			t.Errorf("%s: %d, %v; want %d, %q", name, got, err, c.want, c.failure)
		}
	}
}

// newProbe returns a probe of a database, empty topics and two replicas of stats-service.
func newProbe(t *testing.T, dsn string) *probe.Probe {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "task-events", "task-events-dlq"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	p, err := probe.New(probe.Config{PostgresDSN: dsn, Todo: []string{"127.0.0.1:1"}, Brokers: cluster.ListenAddrs(), Stats: []string{
		serveStats(t, `{"completed_total":5,"by_day":[{"day":"2026-01-15","completed":3},{"day":"2026-01-16","completed":2}],"lag":4,"complete":true}`),
		serveStats(t, `{"completed_total":0,"by_day":[],"lag":null,"complete":false}`),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func serveStats(t *testing.T, body string) (addr string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.String() != "/stats?days=366" {
			t.Errorf("requested %s", r.URL)
		}
		fmt.Fprint(w, body)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}
