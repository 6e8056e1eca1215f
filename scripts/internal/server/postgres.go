// Package server describes the servers that the services need, as parts of a supervisor: PostgreSQL, Redis,
// and two kinds of Kafka. Every server listens on 127.0.0.1 only.
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

	_ "github.com/lib/pq" // registers the driver

	"example.com/todo/scripts/internal/port"
	"example.com/todo/scripts/internal/proc"
	"example.com/todo/scripts/internal/supervisor"
)

const superuser = "postgres"

// AppUser is the application's user, its password, and its database. The server listens on 127.0.0.1 only.
const AppUser = "todo"

// Postgres is a PostgreSQL server. Its superuser has a random password.
type Postgres struct {
	Bin      string         // folder of postgres and initdb
	Dir      string         // holds the data folder and the superuser's password
	Port     int            //
	Launcher *proc.Launcher // starts initdb
	NoFsync  bool           // for data that is deleted with the server
	More     []string       // further settings, name=value
	Primary  *Postgres      // of a standby, which starts as a copy and replicates until its promotion
	Security *Security      //
}

// Part describes the server's process. Its stop signal requests a fast shutdown, which disconnects sessions.
func (p Postgres) Part() supervisor.Part {
	return supervisor.Part{
		Name:      "postgres",
		ReadyWhen: "a session on " + port.Addr(p.Port),
		Prepare:   p.prepare,
		Command:   p.command,
		Ready: func(ctx context.Context) error {
			return p.AsSuperuser(func(db *sql.DB) error { return db.PingContext(ctx) })
		},
	}
}

func (p Postgres) command() (proc.Command, error) {
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
	for _, setting := range append(p.securitySettings(), p.More...) {
		args = append(args, "-c", setting)
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

// DSN returns the DSN of the application's database.
func (p Postgres) DSN() string { return p.dsn(Account{AppUser, AppUser}, AppUser) }

// DSNOf returns the DSN of the application's database for one of Security's users.
func (p Postgres) DSNOf(user Account) string { return p.dsn(user, AppUser) }

// SuperuserDSN returns the superuser's DSN of the database "postgres". The data must exist.
func (p Postgres) SuperuserDSN() (string, error) { return p.superuserDSN("postgres") }

func (p Postgres) superuserDSN(database string) (string, error) {
	password, err := os.ReadFile(p.passwordPath())
	if err != nil {
		return "", fmt.Errorf("read the superuser's password: %w", err)
	}
	return p.dsn(Account{superuser, strings.TrimSpace(string(password))}, database), nil
}

func (p Postgres) dsn(user Account, database string) string {
	query := "sslmode=disable"
	if p.Security != nil {
		query = url.Values{"sslmode": {"verify-full"}, "sslrootcert": {p.Security.CA}}.Encode()
	}
	return fmt.Sprintf("postgres://%s:%s@%s/%s?%s", user.Name, user.Password, port.Addr(p.Port), database, query)
}

// AsSuperuser calls do with connections of the superuser to the database "postgres".
func (p Postgres) AsSuperuser(do func(*sql.DB) error) error { return p.asSuperuser("postgres", do) }

func (p Postgres) asSuperuser(database string, do func(*sql.DB) error) error {
	dsn, err := p.superuserDSN(database)
	if err != nil {
		return err
	}
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	return do(db)
}

// EnsureDatabase creates the application's database and its users unless they exist. The server must be ready.
func (p Postgres) EnsureDatabase(ctx context.Context) error {
	steps := []struct{ find, create string }{
		{"SELECT FROM pg_roles WHERE rolname = $1", "CREATE ROLE " + AppUser + " LOGIN PASSWORD '" + AppUser + "'"},
		{"SELECT FROM pg_database WHERE datname = $1", "CREATE DATABASE " + AppUser + " OWNER " + AppUser},
	}
	if p.Security != nil { // whose Rules create the users
		steps = []struct{ find, create string }{{steps[1].find, "CREATE DATABASE " + AppUser}}
	}
	err := p.AsSuperuser(func(db *sql.DB) error {
		for _, s := range steps {
			var exists bool
			if err := db.QueryRowContext(ctx, "SELECT EXISTS ("+s.find+")", AppUser).Scan(&exists); err != nil {
				return fmt.Errorf("%s: %w", s.find, err)
			}
			if exists {
				continue
			}
			if _, err := db.ExecContext(ctx, s.create); err != nil {
				return fmt.Errorf("%s: %w", s.create, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return p.EnsureRights(ctx)
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
