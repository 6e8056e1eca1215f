package startuptest

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kfake"

	"example.com/todo/platform/testenv"
	"example.com/todo/platform/testenv/testca"
)

// Ports are the addresses of sections, such as "http", that another program listens on.
func Ports(sections ...string) Inputs {
	inputs := Inputs{}
	for _, section := range sections {
		inputs["the port of "+section+" is taken"] = func(t *testing.T) Input {
			listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { listener.Close() })
			variable, taken := strings.ToUpper(section)+"_ADDR", listener.Addr().String()
			return Input{
				Env: []string{variable + "=" + taken}, Exits: true,
				Line: []string{section + ".addr (environment " + variable + ")", taken, "address already in use", "choose another port"},
			}
		}
	}
	return inputs
}

// Redis are servers of the section redis that cannot be used. others makes the settings of the service's other servers,
// so that only Redis keeps it from being ready; ready says that it is ready without Redis, too.
func Redis(others func(t *testing.T) []string, ready bool) Inputs {
	unusable := func(t *testing.T, env []string, line ...string) Input {
		return Input{Env: slices.Concat(others(t), env), Ready: ready, Line: append(line, "redis: the server cannot be used, retrying")}
	}
	return Inputs{
		"Redis is away": func(t *testing.T) Input {
			return unusable(t, nil, "connection refused", "is it running, and does redis.addr (environment REDIS_ADDR) name it?")
		},
		"Redis needs a password": func(t *testing.T) Input {
			addr := testenv.StartRedis(t, "--requirepass", Secret)
			return unusable(t, []string{"REDIS_ADDR=" + addr}, "NOAUTH", "set redis.password (default; variable REDIS_PASSWORD)")
		},
		"Redis rejects the password": func(t *testing.T) Input {
			addr := testenv.StartRedis(t, "--requirepass", "right")
			return unusable(t, []string{"REDIS_ADDR=" + addr, "REDIS_PASSWORD=" + Secret}, "WRONGPASS", "correct redis.password (environment REDIS_PASSWORD)")
		},
		"Redis rejects the password of a file": func(t *testing.T) Input {
			addr := testenv.StartRedis(t, "--requirepass", "right")
			file := filepath.Join(t.TempDir(), "password")
			if err := os.WriteFile(file, []byte(Secret+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			return unusable(t, []string{"REDIS_ADDR=" + addr, "REDIS_PASSWORD_FILE=" + file}, "WRONGPASS", "correct redis.password (environment REDIS_PASSWORD_FILE)")
		},
		"Redis has a certificate of an unknown CA": func(t *testing.T) Input {
			secure := testenv.FreeAddr(t)
			_, port, _ := net.SplitHostPort(secure)
			pair := testca.New(t).Issue("127.0.0.1")
			testenv.StartRedis(t, "--tls-port", port, "--tls-cert-file", pair.Cert, "--tls-key-file", pair.Key, "--tls-auth-clients", "no", "--tls-ca-cert-file", pair.Cert)
			return unusable(t, []string{"REDIS_ADDR=" + secure, "REDIS_TLS=true", "REDIS_TIMEOUT=5s"},
				"certificate signed by unknown authority", "name the CA of the server's certificate in redis.tls_ca (default; variable REDIS_TLS_CA)")
		},
		"Redis is a replica": func(t *testing.T) Input {
			addr := testenv.StartRedis(t, "--replicaof", "127.0.0.1 1")
			input := unusable(t, []string{"REDIS_ADDR=" + addr}, "replica", "name the primary in redis.addr (environment REDIS_ADDR)")
			input.Mended = "redis: the server can be used"
			input.Mend = func(t *testing.T) {
				client := goredis.NewClient(&goredis.Options{Addr: addr})
				defer client.Close()
				if err := client.Do(t.Context(), "REPLICAOF", "NO", "ONE").Err(); err != nil {
					t.Fatal(err)
				}
			}
			return input
		},
		"Redis has no such database": func(t *testing.T) Input {
			addr := testenv.StartRedis(t)
			return Input{
				Env: []string{"REDIS_ADDR=" + addr, "REDIS_DB=99"}, Exits: true,
				Line: []string{"redis.db (environment REDIS_DB)", addr, "no database with this number"},
			}
		},
	}
}

// Kafka are brokers and topics of the section kafka that cannot be used, for a service with 6 partitions. message is in
// the log meanwhile; others and ready are as for Redis.
func Kafka(message string, topics []string, others func(t *testing.T) []string, ready bool) Inputs {
	return Inputs{
		"Kafka is away": func(t *testing.T) Input {
			return Input{
				Env: others(t), Ready: ready,
				Line: []string{message, "connection refused", "is Kafka running, and does the setting kafka.brokers (environment KAFKA_BROKERS) name it?"},
			}
		},
		"Kafka has a certificate of an unknown CA": func(t *testing.T) Input {
			secure := kfake.TLS(&tls.Config{Certificates: []tls.Certificate{testca.New(t).Issue("127.0.0.1").TLS()}})
			return Input{
				Env: append(others(t), startKafka(t, secure), "KAFKA_TLS=true"), Ready: ready,
				Line: []string{message, "certificate signed by unknown authority", "name the CA of the server's certificate in kafka.tls_ca (default; variable KAFKA_TLS_CA)"},
			}
		},
		"Kafka rejects the password": func(t *testing.T) Input {
			return Input{
				Env: append(others(t), startKafka(t, kfake.EnableSASL()), "KAFKA_SASL_MECHANISM=scram-sha-256", "KAFKA_SASL_USERNAME=admin", "KAFKA_SASL_PASSWORD="+Secret), Ready: ready,
				// kfake closes the connection without a reason.
				Line: []string{message, "EOF"},
			}
		},
		"a topic is missing": func(t *testing.T) Input {
			return Input{
				Env: append(others(t), startKafka(t)), Ready: ready,
				Line: []string{message, "does not exist: create it with 6 partitions", "kafka.brokers (environment KAFKA_BROKERS)"},
			}
		},
		"a topic has another number of partitions": func(t *testing.T) Input {
			return Input{
				Env: append(others(t), startKafka(t, kfake.SeedTopics(3, topics...))), Exits: true,
				Line: []string{"has 3 partitions but 6 are configured", "set kafka.partitions (default; variable KAFKA_PARTITIONS) to 3"},
			}
		},
	}
}

// startKafka starts a fake broker until the test ends, and returns the setting that names it.
func startKafka(t *testing.T, options ...kfake.Opt) (setting string) {
	t.Helper()
	cluster, err := kfake.NewCluster(append(options, kfake.NumBrokers(1))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return "KAFKA_BROKERS=" + cluster.ListenAddrs()[0]
}
