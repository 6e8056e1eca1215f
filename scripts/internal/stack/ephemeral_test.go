package stack

import (
	"database/sql"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/IBM/sarama"
	_ "github.com/lib/pq"
)

func TestASandboxServesAndLeavesNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	sandbox, err := StartEphemeral(t.Context(), testTools(t, io.Discard), Request{Postgres: true, Redis: true, Kafka: KafkaEmbedded})
	if err != nil {
		t.Fatal(err)
	}
	env := lookup(sandbox.Env(), "TEST_POSTGRES_DSN", "TEST_REDIS_ADDR", "TEST_KAFKA_BROKERS")

	db, err := sql.Open("postgres", env["TEST_POSTGRES_DSN"])
	if err != nil {
		t.Fatal(err)
	}
	var super bool
	if err := db.QueryRow("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").Scan(&super); err != nil || !super {
		t.Errorf("PostgreSQL: superuser %v, %v", super, err)
	}
	db.Close()
	client, err := sarama.NewClient([]string{env["TEST_KAFKA_BROKERS"]}, sarama.NewConfig())
	if err != nil {
		t.Errorf("Kafka: %v", err)
	} else {
		client.Close()
	}
	if env["TEST_REDIS_ADDR"] == "" {
		t.Error("Redis: no address")
	}

	pids := map[string]int{}
	for _, name := range sandbox.servers.Names() {
		pids[name] = sandbox.servers.PID(name)
	}
	if err := sandbox.Close(t.Context()); err != nil {
		t.Errorf("Close: %v", err)
	}
	for name, pid := range pids {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("%s, pid %d: %v, want that it is gone", name, pid, err)
		}
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestASandboxHasOnlyWhatIsWanted(t *testing.T) {
	t.Parallel()
	sandbox, err := StartEphemeral(t.Context(), testTools(t, io.Discard), Request{Redis: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sandbox.Close(t.Context()) })
	env := sandbox.Env()
	if len(env) != 2 || !strings.HasPrefix(env[0], "TEST_REDIS_ADDR=127.0.0.1:") || !strings.HasPrefix(env[1], "TEST_REDIS_SERVER=/") {
		t.Errorf("environment %q, want Redis alone", env)
	}
}

func TestOnlyADurableSandboxFlushes(t *testing.T) {
	t.Parallel()
	for want, durable := range map[string]bool{"on": true, "off": false} {
		sandbox, err := StartEphemeral(t.Context(), testTools(t, io.Discard), Request{Postgres: true, Durable: durable})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { sandbox.Close(t.Context()) })
		db, err := sql.Open("postgres", lookup(sandbox.Env(), "TEST_POSTGRES_DSN")["TEST_POSTGRES_DSN"])
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		var flushes string
		if err := db.QueryRowContext(t.Context(), `SHOW fsync`).Scan(&flushes); err != nil || flushes != want {
			t.Errorf("durable %t: fsync is %q, error %v", durable, flushes, err)
		}
	}
}
