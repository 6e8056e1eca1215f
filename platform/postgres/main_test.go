package postgres_test

import (
	"crypto/rand"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/platform/config"
	"example.com/todo/platform/postgres"
	"example.com/todo/platform/testenv"
	"example.com/todo/platform/testenv/netproxy"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// database creates a database for the test and returns its URL.
func database(t *testing.T) *url.URL {
	t.Helper()
	dsn, err := url.Parse(testenv.RequireEnv(t, "TEST_POSTGRES_DSN"))
	if err != nil || dsn.Scheme == "" {
		t.Fatal("TEST_POSTGRES_DSN is not a URL")
	}
	admin := open(t, dsn.String())
	name := "test_" + strings.ToLower(rand.Text())
	admin.MustExec("CREATE DATABASE " + name)
	t.Cleanup(func() { admin.MustExec("DROP DATABASE " + name + " WITH (FORCE)") })
	dsn.Path = "/" + name
	return dsn
}

func open(t *testing.T, dsn string) *sqlx.DB {
	t.Helper()
	return openWithMetrics(t, dsn, nil)
}

func openWithMetrics(t *testing.T, dsn string, reg prometheus.Registerer) *sqlx.DB {
	t.Helper()
	cfg := postgres.Defaults()
	cfg.DSN = config.Secret(dsn)
	cfg.ConnectTimeout = time.Minute // a loaded machine is no fault
	db, err := postgres.Open(cfg, reg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// behindProxy returns a fault proxy to the server of dsn, and dsn with the proxy as its host.
func behindProxy(t *testing.T, dsn *url.URL) (*netproxy.Proxy, string) {
	t.Helper()
	proxy, through := testenv.StartProxy(t, dsn.Host), *dsn
	through.Host = proxy.Addr()
	return proxy, through.String()
}
