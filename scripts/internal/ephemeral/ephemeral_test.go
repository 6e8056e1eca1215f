package ephemeral

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/IBM/sarama"
	_ "github.com/lib/pq"

	"example.com/todo/scripts/internal/console"
	"example.com/todo/scripts/internal/server"
	"example.com/todo/scripts/internal/toolchain"
)

// TestMain lets the test's own program be the embedded Kafka, as devstack is.
func TestMain(m *testing.M) {
	switch isBroker, err := server.RunIfBroker(); {
	case !isBroker:
		m.Run()
	case err != nil:
		fmt.Println(err)
	}
}

func tools(t *testing.T) toolchain.Tools {
	t.Helper()
	tools, err := toolchain.New(console.Plain(io.Discard), os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	return tools
}

func lookup(environ []string) map[string]string {
	found := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		found[name] = value
	}
	return found
}

func TestServersAreReadyAndLeaveNoProcessAndNoFile(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	servers, err := Start(t.Context(), tools(t), Request{Postgres: true, Redis: true, Kafka: toolchain.KafkaEmbedded})
	if err != nil {
		t.Fatal(err)
	}
	env := lookup(servers.Environ())

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
	for _, part := range servers.parts.Units() {
		pids[part.Name] = part.PID()
	}
	if err := servers.Close(t.Context()); err != nil {
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

func TestOnlyTheRequestedServersStart(t *testing.T) {
	t.Parallel()
	servers, err := Start(t.Context(), tools(t), Request{Redis: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { servers.Close(t.Context()) })
	env := servers.Environ()
	if len(env) != 2 || !strings.HasPrefix(env[0], "TEST_REDIS_ADDR=127.0.0.1:") || !strings.HasPrefix(env[1], "TEST_REDIS_SERVER=/") {
		t.Errorf("environment %q, want Redis alone", env)
	}
}

func TestPostgresFlushesCommitsOnlyIfDurable(t *testing.T) {
	t.Parallel()
	for want, durable := range map[string]bool{"on": true, "off": false} {
		servers, err := Start(t.Context(), tools(t), Request{Postgres: true, Durable: durable})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { servers.Close(t.Context()) })
		db, err := sql.Open("postgres", lookup(servers.Environ())["TEST_POSTGRES_DSN"])
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
