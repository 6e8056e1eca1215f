//go:build unix

package app

import (
	"net/url"
	"strings"
	"testing"

	"example.com/todo/platform/process/processtest"
	"example.com/todo/platform/process/startuptest"
	"example.com/todo/platform/testenv"
)

const (
	databaseUnusable = "schema check: the database cannot be used yet, retrying"
	databaseUsable   = "schema check: passed"
	redisUnusable    = "redis: the server cannot be used, retrying"
)

func TestServiceSaysWhatIsWrongAndExitsOrRetries(t *testing.T) {
	t.Parallel()
	database := func(t *testing.T) []string { return []string{"POSTGRES_DSN=" + migratedDatabase(t).String()} }
	startuptest.Check(t, processtest.Service{Name: name, Settings: environment}, startuptest.Inputs{
		"a value that cannot be parsed": func(*testing.T) startuptest.Input {
			return startuptest.Input{Env: []string{"KAFKA_PARTITIONS=six"}, Exits: true, Line: []string{`kafka.partitions: "six" from environment KAFKA_PARTITIONS: must be a whole number`}}
		},
		"a DSN without a host": func(*testing.T) startuptest.Input {
			return startuptest.Input{Env: []string{"POSTGRES_DSN=postgres://todo:" + startuptest.Secret + "@/todo"}, Exits: true, Line: []string{"postgres.dsn: [secret] from environment POSTGRES_DSN: names no host"}}
		},
		"the cache's Redis rejects the password": func(t *testing.T) startuptest.Input {
			addr := testenv.StartRedis(t, "--requirepass", "right")
			return startuptest.Input{Env: []string{"REDIS_CACHE_ADDR=" + addr, "REDIS_CACHE_PASSWORD=" + startuptest.Secret}, Line: []string{redisUnusable, "WRONGPASS", "correct redis_cache.password (environment REDIS_CACHE_PASSWORD)"}}
		},
	},
		startuptest.Ports("http", "grpc", "ops"),
		startuptest.Redis(database, true),
		startuptest.Kafka("outbox relay: forwarding failed, retrying", []string{"task-events"}, database, true),
	)
}

func TestServiceSaysWhatIsWrongWithTheDatabaseAndExitsOrRetries(t *testing.T) {
	t.Parallel()
	startuptest.Check(t, processtest.Service{Name: name, Settings: environment}, startuptest.Inputs{
		"PostgreSQL is away": func(*testing.T) startuptest.Input {
			return startuptest.Input{Line: []string{databaseUnusable, "connection refused", "is it running, and does postgres.dsn (environment POSTGRES_DSN) name it?"}}
		},
		"a server whose name does not resolve": func(*testing.T) startuptest.Input {
			return startuptest.Input{Env: []string{"POSTGRES_DSN=postgres://todo@host.invalid/todo?sslmode=disable"}, Line: []string{databaseUnusable, "lookup host.invalid", "does postgres.dsn (environment POSTGRES_DSN) name it?"}}
		},
		"a database that does not exist": func(t *testing.T) startuptest.Input {
			missing := createDatabase(t)
			missing.Path += "_later"
			database := strings.TrimPrefix(missing.Path, "/")
			return startuptest.Input{
				Env: []string{"POSTGRES_DSN=" + missing.String()}, Line: []string{databaseUnusable, "does not exist", "create the database, or correct postgres.dsn (environment POSTGRES_DSN)"},
				Mended: databaseUsable, Mend: func(t *testing.T) {
					admin := openServer(t)
					admin.MustExec(`CREATE DATABASE ` + database)
					t.Cleanup(func() { admin.MustExec(`DROP DATABASE ` + database + ` WITH (FORCE)`) })
					migrate(t, missing)
				},
			}
		},
		"a wrong password": func(t *testing.T) startuptest.Input {
			dsn := migratedDatabase(t)
			role := strings.TrimPrefix(dsn.Path, "/")
			admin := openServer(t)
			admin.MustExec(`CREATE ROLE ` + role + ` SUPERUSER LOGIN PASSWORD 'another'`)
			t.Cleanup(func() { admin.MustExec(`DROP ROLE ` + role) })
			dsn.User = url.UserPassword(role, startuptest.Secret)
			return startuptest.Input{
				Env: []string{"POSTGRES_DSN=" + dsn.String()}, Line: []string{databaseUnusable, "password authentication failed", "correct user and password in postgres.dsn (environment POSTGRES_DSN)"},
				Mended: databaseUsable, Mend: func(*testing.T) {
					admin.MustExec(`ALTER ROLE ` + role + ` PASSWORD '` + startuptest.Secret + `'`)
				},
			}
		},
		"a schema that was not migrated": func(t *testing.T) startuptest.Input {
			dsn, http := createDatabase(t), testenv.FreeAddr(t)
			return startuptest.Input{
				Env: []string{"POSTGRES_DSN=" + dsn.String(), "HTTP_ADDR=" + http}, Line: []string{databaseUnusable, "postgres.dsn (environment POSTGRES_DSN)", "lacks the migration 00001", "run the migrate command"},
				Mended: databaseUsable, Mend: func(t *testing.T) {
					if got := getStatus("http://" + http + "/tasks"); got != 503 {
						t.Errorf("a request got status %d", got)
					}
					migrate(t, dsn)
				},
			}
		},
		"a schema of a newer version": func(t *testing.T) startuptest.Input {
			dsn := migratedDatabase(t)
			openDatabase(t, dsn).MustExec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)`)
			return startuptest.Input{Env: []string{"POSTGRES_DSN=" + dsn.String()}, Ready: true, Line: []string{"the database's schema is newer than this program", "deploy the newer version again"}}
		},
		"a server without TLS": func(t *testing.T) startuptest.Input {
			dsn := createDatabase(t)
			dsn.RawQuery = "sslmode=require"
			return startuptest.Input{Env: []string{"POSTGRES_DSN=" + dsn.String()}, Exits: true, Line: []string{"SSL is not enabled on the server", "correct postgres.dsn (environment POSTGRES_DSN)"}}
		},
	})
}

func TestServiceUsesTLSAndPasswords(t *testing.T) {
	t.Parallel()
	startuptest.CheckSecured(t, processtest.Service{Name: name, Settings: environment}, []string{"http", "grpc"}, []string{"task-events"}, "POSTGRES_DSN="+migratedDatabase(t).String())
}
