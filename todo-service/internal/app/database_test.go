package app

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"example.com/todo/platform/config"
	"example.com/todo/platform/postgres"
	"example.com/todo/platform/testenv"
	"example.com/todo/platform/testenv/netproxy"
	"example.com/todo/todo-service/internal/pgstore"
)

// createDatabase creates an empty database and returns its DSN.
func createDatabase(t testing.TB) *url.URL {
	t.Helper()
	admin, dsn := openServer(t), serverDSN(t)
	name := fmt.Sprintf("app_%016x", rand.Uint64())
	admin.MustExec(`CREATE DATABASE ` + name)
	t.Cleanup(func() { admin.MustExec(`DROP DATABASE ` + name + ` WITH (FORCE)`) })
	own := *dsn
	own.Path = "/" + name
	return &own
}

func serverDSN(t testing.TB) *url.URL {
	t.Helper()
	dsn, err := url.Parse(testenv.RequireEnv(t, "TEST_POSTGRES_DSN"))
	if err != nil {
		t.Fatal(err)
	}
	return dsn
}

// openServer returns a pool of a superuser.
func openServer(t testing.TB) *sqlx.DB {
	t.Helper()
	return openDatabase(t, serverDSN(t))
}

// migratedDatabase creates a database with the schema and returns its DSN.
func migratedDatabase(t testing.TB) *url.URL {
	t.Helper()
	dsn := createDatabase(t)
	migrate(t, dsn)
	return dsn
}

func migrate(t testing.TB, dsn *url.URL) {
	t.Helper()
	if err := postgres.Migrate(t.Context(), openDatabase(t, dsn), pgstore.Migrations, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
}

func openDatabase(t testing.TB, dsn *url.URL) *sqlx.DB {
	t.Helper()
	cfg := postgres.Defaults()
	cfg.DSN = config.Secret(dsn.String())
	cfg.ConnectTimeout = time.Minute // a loaded machine is no fault
	db, err := postgres.Open(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// unavailableUntil returns the DSN of a proxy before the database, which rejects
// connections until appear is called.
func unavailableUntil(t *testing.T, dsn *url.URL) (moved *url.URL, appear func()) {
	t.Helper()
	proxy, through := testenv.StartProxy(t, dsn.Host), *dsn
	proxy.SetMode(netproxy.Reject)
	through.Host = proxy.Addr()
	return &through, func() { proxy.SetMode(netproxy.Forward) }
}
