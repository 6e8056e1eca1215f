//go:build unix

package app

import (
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"example.com/todo/platform/process/processtest"
	"example.com/todo/platform/testenv"
)

const (
	databaseUnusable = "schema check: the database cannot be used yet, retrying"
	databaseUsable   = "schema check: passed"
	redisUnusable    = "redis: the server cannot be used, retrying"
)

const leakedSecret = "hunter2" // which CheckBadInput looks for

func TestServiceSaysWhatIsWrongAndExitsOrRetries(t *testing.T) {
	t.Parallel()
	processtest.Service{Name: name, Settings: environment}.CheckBadInput(t, map[string]func(*testing.T) processtest.BadInput{
		"a value that cannot be parsed": func(*testing.T) processtest.BadInput {
			return processtest.BadInput{Env: []string{"KAFKA_PARTITIONS=six"}, Exits: true, Line: []string{`kafka.partitions: "six" from environment KAFKA_PARTITIONS: must be a whole number`}}
		},
		"a DSN without a host": func(*testing.T) processtest.BadInput {
			return processtest.BadInput{Env: []string{"POSTGRES_DSN=postgres://todo:" + leakedSecret + "@/todo"}, Exits: true, Line: []string{"postgres.dsn: [secret] from environment POSTGRES_DSN: names no host"}}
		},
		"an HTTP port that is taken": func(t *testing.T) processtest.BadInput { return takenPort(t, "http") },
		"a gRPC port that is taken":  func(t *testing.T) processtest.BadInput { return takenPort(t, "grpc") },
		"an ops port that is taken":  func(t *testing.T) processtest.BadInput { return takenPort(t, "ops") },
		"Redis is away": func(*testing.T) processtest.BadInput {
			return processtest.BadInput{Line: []string{redisUnusable, "connection refused", "is it running, and does redis.addr (environment REDIS_ADDR) name it?"}}
		},
		"the cache's Redis rejects the password": func(t *testing.T) processtest.BadInput {
			addr := testenv.StartRedis(t, "--requirepass", "right")
			return processtest.BadInput{Env: []string{"REDIS_CACHE_ADDR=" + addr, "REDIS_CACHE_PASSWORD=" + leakedSecret}, Line: []string{redisUnusable, "WRONGPASS", "correct redis_cache.password (environment REDIS_CACHE_PASSWORD)"}}
		},
		"Redis needs a password": func(t *testing.T) processtest.BadInput {
			addr := testenv.StartRedis(t, "--requirepass", leakedSecret)
			return processtest.BadInput{Env: []string{"REDIS_ADDR=" + addr}, Line: []string{redisUnusable, "NOAUTH", "set redis.password (default; variable REDIS_PASSWORD)"}}
		},
		"Redis is a replica": func(t *testing.T) processtest.BadInput {
			addr := testenv.StartRedis(t, "--replicaof", "127.0.0.1 1")
			return processtest.BadInput{Env: []string{"REDIS_ADDR=" + addr}, Line: []string{redisUnusable, "replica", "name the primary in redis.addr (environment REDIS_ADDR)"}}
		},
		"Kafka is away": func(*testing.T) processtest.BadInput {
			return processtest.BadInput{Line: []string{"outbox relay: forwarding failed, retrying", "connection refused", "is Kafka running, and does the setting kafka.brokers (environment KAFKA_BROKERS) name it?"}}
		},
		"a topic that is missing": func(t *testing.T) processtest.BadInput {
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(cluster.Close)
			return processtest.BadInput{Env: []string{"KAFKA_BROKERS=" + cluster.ListenAddrs()[0]}, Line: []string{"outbox relay: forwarding failed, retrying", "does not exist: create it with 6 partitions", "kafka.brokers (environment KAFKA_BROKERS)"}}
		},
		"a topic with another number of partitions": func(t *testing.T) processtest.BadInput {
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "task-events"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(cluster.Close)
			return processtest.BadInput{Env: []string{"KAFKA_BROKERS=" + cluster.ListenAddrs()[0]}, Exits: true, Line: []string{"has 3 partitions but 6 are configured", "set kafka.partitions (default; variable KAFKA_PARTITIONS) to 3"}}
		},
	})
}

func TestServiceSaysWhatIsWrongWithTheDatabaseAndExitsOrRetries(t *testing.T) {
	t.Parallel()
	processtest.Service{Name: name, Settings: environment}.CheckBadInput(t, map[string]func(*testing.T) processtest.BadInput{
		"PostgreSQL is away": func(*testing.T) processtest.BadInput {
			return processtest.BadInput{Line: []string{databaseUnusable, "connection refused", "is it running, and does postgres.dsn (environment POSTGRES_DSN) name it?"}}
		},
		"a server whose name does not resolve": func(*testing.T) processtest.BadInput {
			return processtest.BadInput{Env: []string{"POSTGRES_DSN=postgres://todo@host.invalid/todo?sslmode=disable"}, Line: []string{databaseUnusable, "lookup host.invalid", "does postgres.dsn (environment POSTGRES_DSN) name it?"}}
		},
		"a database that does not exist": func(t *testing.T) processtest.BadInput {
			missing := createDatabase(t)
			missing.Path += "_later"
			database := strings.TrimPrefix(missing.Path, "/")
			return processtest.BadInput{
				Env: []string{"POSTGRES_DSN=" + missing.String()}, Line: []string{databaseUnusable, "does not exist", "create the database, or correct postgres.dsn (environment POSTGRES_DSN)"},
				Mended: databaseUsable, Mend: func(t *testing.T) {
					admin := openServer(t)
					admin.MustExec(`CREATE DATABASE ` + database)
					t.Cleanup(func() { admin.MustExec(`DROP DATABASE ` + database + ` WITH (FORCE)`) })
					migrate(t, missing)
				},
			}
		},
		"a wrong password": func(t *testing.T) processtest.BadInput {
			dsn := migratedDatabase(t)
			role := strings.TrimPrefix(dsn.Path, "/")
			admin := openServer(t)
			admin.MustExec(`CREATE ROLE ` + role + ` SUPERUSER LOGIN PASSWORD 'another'`)
			t.Cleanup(func() { admin.MustExec(`DROP ROLE ` + role) })
			dsn.User = url.UserPassword(role, leakedSecret)
			return processtest.BadInput{
				Env: []string{"POSTGRES_DSN=" + dsn.String()}, Line: []string{databaseUnusable, "password authentication failed", "correct user and password in postgres.dsn (environment POSTGRES_DSN)"},
				Mended: databaseUsable, Mend: func(*testing.T) {
					admin.MustExec(`ALTER ROLE ` + role + ` PASSWORD '` + leakedSecret + `'`)
				},
			}
		},
		"a schema that was not migrated": func(t *testing.T) processtest.BadInput {
			dsn, http := createDatabase(t), testenv.FreeAddr(t)
			return processtest.BadInput{
				Env: []string{"POSTGRES_DSN=" + dsn.String(), "HTTP_ADDR=" + http}, Line: []string{databaseUnusable, "postgres.dsn (environment POSTGRES_DSN)", "lacks the migration 00001", "run the migrate command"},
				Mended: databaseUsable, Mend: func(t *testing.T) {
					if got := getStatus("http://" + http + "/tasks"); got != 503 {
						t.Errorf("a request got status %d", got)
					}
					migrate(t, dsn)
				},
			}
		},
		"a schema of a newer version": func(t *testing.T) processtest.BadInput {
			dsn := migratedDatabase(t)
			openDatabase(t, dsn).MustExec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)`)
			return processtest.BadInput{Env: []string{"POSTGRES_DSN=" + dsn.String()}, Ready: true, Line: []string{"the database's schema is newer than this program", "deploy the newer version again"}}
		},
		"a server without TLS": func(t *testing.T) processtest.BadInput {
			dsn := createDatabase(t)
			dsn.RawQuery = "sslmode=require"
			return processtest.BadInput{Env: []string{"POSTGRES_DSN=" + dsn.String()}, Exits: true, Line: []string{"SSL is not enabled on the server", "correct postgres.dsn (environment POSTGRES_DSN)"}}
		},
	})
}

// takenPort returns a BadInput in which the address of the section is taken.
func takenPort(t *testing.T, section string) processtest.BadInput {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	variable, taken := strings.ToUpper(section)+"_ADDR", listener.Addr().String()
	return processtest.BadInput{Env: []string{variable + "=" + taken}, Exits: true, Line: []string{section + ".addr (environment " + variable + ")", taken, "address already in use", "choose another port"}}
}
