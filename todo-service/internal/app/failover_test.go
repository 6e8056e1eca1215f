package app

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"example.com/todo/platform/config"
	"example.com/todo/platform/testenv"
)

// serveWithTask runs the service on the database until the test ends, and creates task 1.
func serveWithTask(t *testing.T, dsn *url.URL) Config {
	t.Helper()
	cfg := withoutServers(t)
	cfg.Postgres.DSN = config.Secret(dsn.String())
	serve(t, cfg)
	testenv.Eventually(t, "a task", func() bool { return postStatus("http://"+cfg.HTTP.Addr+"/tasks") == http.StatusCreated })
	return cfg
}

func TestServiceIsNotReadyWhileItsDatabaseTakesNoWrites(t *testing.T) {
	t.Parallel()
	dsn := migratedDatabase(t)
	cfg := serveWithTask(t, dsn)
	ready := "http://" + cfg.Ops.Addr + "/readyz"
	testenv.Eventually(t, "ready", func() bool { return getStatus(ready) == http.StatusOK })
	admin := openDatabase(t, dsn)
	name := strings.TrimPrefix(dsn.Path, "/")

	admin.MustExec(`ALTER DATABASE ` + name + ` SET default_transaction_read_only = on`)
	var since time.Time
	if err := admin.Get(&since, `SELECT clock_timestamp()`); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "its sessions have ended", func() bool {
		var left int
		err := admin.Get(&left, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_start < $1`, since)
		return err == nil && left == 0
	})
	testenv.Eventually(t, "not ready", func() bool { return getStatus(ready) == http.StatusServiceUnavailable })
	for over, change := range priorityChangers(t, cfg) {
		for priority := range int32(20) {
			if err := change(t.Context(), 1+priority); status.Code(err) != codes.Unavailable {
				t.Errorf("over %s: %v", over, err)
			}
		}
	}
	if got := getStatus("http://" + cfg.HTTP.Addr + "/tasks/1"); got != http.StatusOK {
		t.Errorf("reading: %d", got)
	}

	admin.MustExec(`ALTER DATABASE ` + name + ` RESET default_transaction_read_only`)
	for over, change := range priorityChangers(t, cfg) {
		priority := int32(30)
		testenv.Eventually(t, "changes succeed again over "+over, func() bool {
			for range 10 {
				if priority++; change(t.Context(), 1+priority%100) != nil {
					return false
				}
			}
			return true
		})
	}
	testenv.Eventually(t, "ready again", func() bool { return getStatus(ready) == http.StatusOK })
}

func TestAnAlteredColumnCausesNoError(t *testing.T) {
	t.Parallel()
	dsn := migratedDatabase(t)
	cfg := serveWithTask(t, dsn)
	admin := openDatabase(t, dsn)
	for i, kind := range []string{"bigint", "integer"} {
		admin.MustExec(`ALTER TABLE tasks ALTER COLUMN priority TYPE ` + kind)
		for over, change := range priorityChangers(t, cfg) {
			if err := change(t.Context(), int32(50+i)+int32(len(over))); err != nil {
				t.Errorf("%s, over %s: %v", kind, over, err)
			}
		}
		for _, path := range []string{"/tasks/1", "/tasks?limit=5", "/tasks/1/events"} {
			if got := getStatus("http://" + cfg.HTTP.Addr + path); got != http.StatusOK {
				t.Errorf("%s, %s: %d", kind, path, got)
			}
		}
	}
}

func TestConcurrentChangesSucceedAtEveryIsolationLevel(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"repeatable read", "serializable"} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			dsn := migratedDatabase(t)
			openDatabase(t, dsn).MustExec(`ALTER DATABASE ` + strings.TrimPrefix(dsn.Path, "/") + ` SET default_transaction_isolation = '` + level + `'`)
			cfg := serveWithTask(t, dsn)
			var group sync.WaitGroup
			for over, change := range priorityChangers(t, cfg) {
				for n := range int32(20) {
					group.Go(func() {
						if err := change(t.Context(), 1+n); err != nil {
							t.Errorf("over %s: %v", over, err)
						}
					})
				}
			}
			group.Wait()
		})
	}
}
