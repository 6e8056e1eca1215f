package app

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"testing"

	"github.com/jmoiron/sqlx"

	"example.com/todo/platform/config"
	"example.com/todo/platform/postgres"
	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/pgstore"
)

// database makes an empty database and returns where it is.
func database(t testing.TB) *url.URL {
	t.Helper()
	dsn, err := url.Parse(testenv.RequireEnv(t, "TEST_POSTGRES_DSN"))
	if err != nil {
		t.Fatal(err)
	}
	admin := open(t, dsn)
	name := fmt.Sprintf("app_%016x", rand.Uint64())
	admin.MustExec(`CREATE DATABASE ` + name)
	t.Cleanup(func() { admin.MustExec(`DROP DATABASE ` + name + ` WITH (FORCE)`) })
	own := *dsn
	own.Path = "/" + name
	return &own
}

// migrated is a database with the schema.
func migrated(t testing.TB) *url.URL {
	t.Helper()
	dsn := database(t)
	if err := postgres.Migrate(t.Context(), open(t, dsn), pgstore.Migrations, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return dsn
}

func open(t testing.TB, dsn *url.URL) *sqlx.DB {
	t.Helper()
	cfg := postgres.Defaults()
	cfg.DSN = config.Secret(dsn.String())
	db, err := postgres.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// hidden moves the database to an address where it is away, until appear is called.
func hidden(t *testing.T, dsn *url.URL) (moved *url.URL, appear func()) {
	t.Helper()
	there, here := dsn.Host, *dsn
	here.Host = testenv.FreeAddr(t)
	return &here, func() {
		listener, err := net.Listen("tcp", here.Host)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		go func() {
			for client, err := listener.Accept(); err == nil; client, err = listener.Accept() {
				go forward(client, there)
			}
		}()
	}
}

func forward(client net.Conn, to string) {
	defer client.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(server, client)
		server.Close()
	}()
	_, _ = io.Copy(client, server)
}
