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

// Postgres is a PostgreSQL server. Its superuser has a random password.
type Postgres struct {
	Bin      string         // folder of postgres and initdb
	Dir      string         // holds the data folder and the superuser's password
	Port     int            //
	Launcher *proc.Launcher // starts initdb
	NoFsync  bool           // for data that is deleted with the server
	Primary  *Postgres      // of a standby, which starts as a copy and replicates until its promotion
}

// Name is the part's name.
func (p Postgres) Name() string { return "postgres" }

// ReadyWhen names the condition of Ready.
func (p Postgres) ReadyWhen() string { return "a session on " + port.Addr(p.Port) }

// Command describes the server's process. Its stop signal requests a fast shutdown, which disconnects sessions.
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
		// The standby reconnects soon after a restart of the primary.
		args = append(args, "-c", "primary_conninfo="+conninfo, "-c", "wal_retrieve_retry_interval=100ms")
	}
	return proc.Command{
		Path: filepath.Join(p.Bin, "postgres"), Args: args, Env: minimalEnv(), Dir: "/", As: account,
		Stop: syscall.SIGINT, Orphaned: syscall.SIGQUIT,
	}, nil
}

// Ready returns nil if the superuser can log in.
func (p Postgres) Ready(ctx context.Context) error {
	db, err := p.openAsSuperuser()
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return db.PingContext(ctx)
}

// DSN returns the DSN of a database for a user of this server.
func (p Postgres) DSN(user, password, database string) string {
	dsn := url.URL{
		Scheme: "postgres", User: url.UserPassword(user, password), Host: port.Addr(p.Port),
		Path: database, RawQuery: "sslmode=disable",
	}
	return dsn.String()
}

// SuperuserDSN returns the superuser's DSN of the database "postgres". Prepare must have run.
func (p Postgres) SuperuserDSN() (string, error) {
	password, err := os.ReadFile(p.passwordPath())
	if err != nil {
		return "", fmt.Errorf("read the superuser's password: %w", err)
	}
	return p.DSN(superuser, strings.TrimSpace(string(password)), "postgres"), nil
}

// EnsureDatabase creates a user, and a database that the user owns, unless they exist. The server must be
// ready.
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

// resolvedDir is Dir without symbolic links: the server's user may be unable to reach the link.
func (p Postgres) resolvedDir() string {
	if resolved, err := filepath.EvalSymlinks(p.Dir); err == nil {
		return resolved
	}
	return p.Dir
}

// minimalEnv is an environment without the caller's PG… variables and locale.
func minimalEnv() []string { return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"} }
