package server

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/lib/pq"

	"example.com/todo/scripts/internal/port"
	"example.com/todo/scripts/internal/proc"
)

const superuser = "postgres"

// Postgres is a PostgreSQL server. Its superuser has a password drawn at random.
type Postgres struct {
	Bin      string         // folder of postgres and initdb
	Dir      string         // holds the data folder and the superuser's password
	Port     int            //
	Launcher *proc.Launcher // starts initdb
	NoFsync  bool           // no fsync, for data that dies with the server
	Primary  *Postgres      // of a standby: it begins as a copy, and follows until it is promoted
}

// Name is the part's name.
func (p Postgres) Name() string { return "postgres" }

// Awaits names what Ready asks for.
func (p Postgres) ReadyWhen() string { return "a session on " + port.Addr(p.Port) }

// Command describes the server's process. It stops fast: sessions are cut, nothing is lost.
func (p Postgres) Command() (proc.Command, error) {
	account, err := p.serverAccount()
	if err != nil {
		return proc.Command{}, err
	}
	args := []string{
		"-D", p.dataDir(), "-p", strconv.Itoa(p.Port), "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=", "-c", "max_connections=200",
	}
	if p.NoFsync {
		args = append(args, "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off")
	}
	if p.Primary != nil {
		conninfo, err := p.Primary.SuperuserDSN()
		if err != nil {
			return proc.Command{}, err
		}
		// A primary that was killed is found again as soon as it is back.
		args = append(args, "-c", "primary_conninfo="+conninfo, "-c", "wal_retrieve_retry_interval=100ms")
	}
	return proc.Command{
		Path: filepath.Join(p.Bin, "postgres"), Args: args, Env: minimalEnv(), Dir: "/", As: account,
		Stop: syscall.SIGINT, Orphaned: syscall.SIGQUIT,
	}, nil
}

// Ready returns nil when the superuser can log in.
func (p Postgres) Ready(ctx context.Context) error {
	db, err := p.openAsSuperuser()
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return db.PingContext(ctx)
}

// DSN returns the address of a database for a user of this server.
func (p Postgres) DSN(user, password, database string) string {
	dsn := url.URL{
		Scheme: "postgres", User: url.UserPassword(user, password), Host: port.Addr(p.Port),
		Path: database, RawQuery: "sslmode=disable",
	}
	return dsn.String()
}

// SuperuserDSN returns the superuser's address of the database "postgres". It needs Prepare.
func (p Postgres) SuperuserDSN() (string, error) {
	password, err := os.ReadFile(p.passwordPath())
	if err != nil {
		return "", fmt.Errorf("read the superuser's password: %w", err)
	}
	return p.DSN(superuser, strings.TrimSpace(string(password)), "postgres"), nil
}

// EnsureDatabase makes a user and a database that belongs to it, unless they are there. It needs a
// server that is ready.
func (p Postgres) EnsureDatabase(ctx context.Context, user, password, database string) error {
	db, err := p.openAsSuperuser()
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	steps := []struct{ find, name, make string }{
		{
			"SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", user,
			"CREATE ROLE " + pq.QuoteIdentifier(user) + " LOGIN PASSWORD " + pq.QuoteLiteral(password),
		},
		{
			"SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", database,
			"CREATE DATABASE " + pq.QuoteIdentifier(database) + " OWNER " + pq.QuoteIdentifier(user),
		},
	}
	for _, s := range steps {
		var there bool
		if err := db.QueryRowContext(ctx, s.find, s.name).Scan(&there); err != nil {
			return fmt.Errorf("look for %s: %w", s.name, err)
		}
		if there {
			continue
		}
		if _, err := db.ExecContext(ctx, s.make); err != nil {
			return fmt.Errorf("make %s: %w", s.name, err)
		}
	}
	return nil
}

func (p Postgres) openAsSuperuser() (*sql.DB, error) {
	dsn, err := p.SuperuserDSN()
	if err != nil {
		return nil, err
	}
	return sql.Open("postgres", dsn)
}

func (p Postgres) dataDir() string      { return filepath.Join(p.resolvedDir(), "data") }
func (p Postgres) passwordPath() string { return filepath.Join(p.resolvedDir(), "superuser-password") }

// resolvedDir is where Dir really is: the server's own user may reach that and not the link to it.
func (p Postgres) resolvedDir() string {
	if resolved, err := filepath.EvalSymlinks(p.Dir); err == nil {
		return resolved
	}
	return p.Dir
}

// minimalEnv keeps the caller's PG… variables and locale away from the server.
func minimalEnv() []string { return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"} }
