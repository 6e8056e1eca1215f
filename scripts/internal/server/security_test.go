package server_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"example.com/todo/platform/config"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/consumer"
	"example.com/todo/platform/kafka/producer"
	"example.com/todo/platform/kafka/reader"
	"example.com/todo/platform/postgres"
	"example.com/todo/platform/testenv"
	"example.com/todo/platform/testenv/testca"
	"example.com/todo/scripts/internal/console"
	"example.com/todo/scripts/internal/port"
	"example.com/todo/scripts/internal/proc"
	"example.com/todo/scripts/internal/server"
	"example.com/todo/scripts/internal/supervisor"
	"example.com/todo/scripts/internal/toolchain"
)

// start runs the part until the test ends.
func start(t *testing.T, tools toolchain.Tools, part supervisor.Part) {
	t.Helper()
	parts := supervisor.New(supervisor.Config{Launcher: tools.Launcher, Console: tools.Console, LogDir: t.TempDir(), StopTimeout: 20 * time.Second}, part)
	t.Cleanup(func() {
		if err := parts.StopAll(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := parts.StartAll(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func newTools(t *testing.T) (toolchain.Tools, []int) {
	t.Helper()
	tools, err := toolchain.New(console.Plain(t.Output()), os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	ports, err := port.Reserve(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ports.Close)
	return tools, ports.Ports
}

// secureKafka starts a real Kafka whose second listener demands TLS, a client certificate and a password. It returns
// the address of that listener.
func secureKafka(t *testing.T, ca *testca.CA) string {
	t.Helper()
	tools, ports := newTools(t)
	if kind, err := tools.ChooseKafka(t.Context(), toolchain.KafkaBest); err != nil {
		t.Fatal(err)
	} else if kind != toolchain.KafkaApache {
		t.Skip("the real Kafka needs Java 17")
	}
	program, err := tools.Finder.Kafka(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	plain, secure := port.Addr(ports[0]), port.Addr(ports[2])
	pair := ca.Issue("127.0.0.1")
	const jaas = "org.apache.kafka.common.security."
	start(t, tools, server.ApacheKafka{
		Program: program, Dir: filepath.Join(t.TempDir(), "kafka"), Port: ports[0], ControllerPort: ports[1], Launcher: tools.Launcher,
		More: []string{
			"listeners=BROKER://" + plain + ",CONTROLLER://" + port.Addr(ports[1]) + ",SECURE://" + secure,
			"advertised.listeners=BROKER://" + plain + ",SECURE://" + secure,
			"listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL",
			"ssl.keystore.type=PEM", "ssl.keystore.location=" + join(t, pair.Key, pair.Cert), "ssl.truststore.type=PEM", "ssl.truststore.location=" + ca.File,
			"listener.name.secure.ssl.client.auth=required",
			"listener.name.secure.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
			"listener.name.secure.plain.sasl.jaas.config=" + jaas + `plain.PlainLoginModule required user_app="right";`,
			"listener.name.secure.scram-sha-256.sasl.jaas.config=" + jaas + "scram.ScramLoginModule required;",
			"listener.name.secure.scram-sha-512.sasl.jaas.config=" + jaas + "scram.ScramLoginModule required;",
			fmt.Sprintf("connections.max.reauth.ms=%d", sessionLifetime.Milliseconds()),
		},
	}.Part())
	settings := sarama.NewConfig()
	settings.Version = sarama.V2_8_0_0
	admin, err := sarama.NewClusterAdmin([]string{plain}, settings)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	for _, mechanism := range []sarama.ScramMechanismType{sarama.SCRAM_MECHANISM_SHA_256, sarama.SCRAM_MECHANISM_SHA_512} {
		results, err := admin.UpsertUserScramCredentials([]sarama.AlterUserScramCredentialsUpsert{{
			Name: "app", Mechanism: mechanism, Iterations: 4096, Salt: []byte("salt"), Password: []byte("right"),
		}})
		if err != nil || results[0].ErrorCode != sarama.ErrNoError {
			t.Fatal(err, results)
		}
	}
	for _, topic := range append(mechanisms, "things-dlq") {
		if err := admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false); err != nil {
			t.Fatal(err)
		}
	}
	return secure
}

// replace overwrites the files of pair with those of another.
func replace(t *testing.T, pair, other testca.Pair) {
	t.Helper()
	for path, source := range map[string]string{pair.Cert: other.Cert, pair.Key: other.Key} {
		content, err := os.ReadFile(source)
		if err == nil {
			err = os.WriteFile(path, content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// join returns a file with the content of the files.
func join(t *testing.T, files ...string) string {
	t.Helper()
	var all []byte
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, content...)
	}
	path := filepath.Join(t.TempDir(), "joined.pem")
	if err := os.WriteFile(path, all, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func loadKafka(t *testing.T, environ ...string) kafka.Config {
	t.Helper()
	cfg := struct {
		Kafka kafka.Config `config:"kafka"`
	}{kafka.Defaults("test")}
	if err := config.Load(&cfg, "", append(environ, "KAFKA_PARTITIONS=1")); err != nil {
		t.Fatal(err)
	}
	return cfg.Kafka
}

// mechanisms of SASL, each with a topic of its name.
var mechanisms = []string{"plain", "scram-sha-256", "scram-sha-512"}

type recordCounter chan int

func (c recordCounter) Handle(_ context.Context, batch []kafka.Record) (int, error) {
	c <- len(batch)
	return len(batch), nil
}

// sessionLifetime is how long the broker lets a client use a connection without authenticating again.
const sessionLifetime = 2 * time.Second

func TestRealKafkaWithTLSAndSASL(t *testing.T) {
	t.Parallel()
	ca, other := testca.New(t), testca.New(t)
	addr := secureKafka(t, ca)
	environ := func(own testca.Pair, more ...string) []string {
		return append(more, "KAFKA_BROKERS="+addr, "KAFKA_TLS=true", "KAFKA_TLS_CA="+ca.File, "KAFKA_TLS_CERT="+own.Cert, "KAFKA_TLS_KEY="+own.Key, "KAFKA_SASL_USERNAME=app")
	}
	for _, mechanism := range mechanisms {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			own := ca.Issue("client")
			cfg := loadKafka(t, environ(own, "KAFKA_SASL_MECHANISM="+mechanism, "KAFKA_SASL_PASSWORD=right")...)
			counted, registry := make(recordCounter), prometheus.NewRegistry()
			group := consumer.NewGroup(consumer.GroupConfig{Config: cfg, Group: mechanism, Topic: mechanism, DLQ: "things-dlq"}, counted, slog.New(slog.DiscardHandler), registry)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			ended := make(chan error, 1)
			go func() { ended <- group.Run(ctx) }()
			p := producer.New(cfg, nil)
			defer p.Close()
			pass := func() {
				t.Helper()
				if err := p.Send(ctx, []kafka.Record{{Topic: mechanism, Value: []byte("x")}}); err != nil {
					t.Fatal(err)
				}
				select {
				case <-counted:
				case <-ctx.Done():
					t.Fatal("no record: ", group.Ready(context.Background()))
				}
			}
			pass()
			// From now on the broker refuses every new connection. A record that passes after the lifetime of
			// the sessions shows that both clients have authenticated again, over the connections that they have.
			replace(t, own, other.Issue("client"))
			for replaced := time.Now(); time.Since(replaced) < 2*sessionLifetime; {
				pass()
			}
			for _, name := range []string{"kafka_consumer_undecodable_batches_total", "kafka_consumer_reported_errors_total"} {
				if got, err := sum(registry, name); err != nil || got != 0 {
					t.Errorf("%s is %v, %v", name, got, err)
				}
			}
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
	const wrongPassword = "correct kafka.sasl_username (environment KAFKA_SASL_USERNAME) or kafka.sasl_password (environment KAFKA_SASL_PASSWORD)"
	for name, tt := range map[string]struct {
		own                       testca.Pair
		mechanism, password, want string
	}{
		"a wrong password":        {ca.Issue("client"), "scram-sha-512", "hunter2", wrongPassword},
		"a wrong password, plain": {ca.Issue("client"), "plain", "hunter2", wrongPassword},
		"another CA":              {other.Issue("client"), "plain", "right", "the server may reject the client certificate: correct kafka.tls_cert"},
	} {
		_, err := reader.TopicID(t.Context(), loadKafka(t, environ(tt.own, "KAFKA_SASL_MECHANISM="+tt.mechanism, "KAFKA_SASL_PASSWORD="+tt.password)...), "plain")
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// sum adds the values of a metric's series.
func sum(registry *prometheus.Registry, name string) (total float64, err error) {
	if found, err := testutil.GatherAndCount(registry, name); err != nil || found == 0 {
		return 0, errors.Join(err, fmt.Errorf("%d series", found))
	}
	families, err := registry.Gather()
	for _, family := range families {
		for _, metric := range family.Metric {
			if family.GetName() == name {
				total += metric.GetCounter().GetValue()
			}
		}
	}
	return total, err
}

func TestRealPostgresWithTLS(t *testing.T) {
	t.Parallel()
	tools, ports := newTools(t)
	dir, err := os.MkdirTemp("", "server-test-") //nolint:usetesting // the account of the server can enter it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { toolchain.RemoveData(dir) })
	if err := os.Chmod(dir, 0o711); err != nil { // for the account of the server
		t.Fatal(err)
	}
	ca, other := testca.New(t), testca.New(t)
	pair, own := ca.Issue("127.0.0.1"), ca.Issue("todo")
	account, err := proc.Unprivileged()
	if err != nil {
		t.Fatal(err)
	}
	place := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, []byte(content), 0o600), account.Chown(path)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	read := func(path string) string {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	p, err := tools.Postgres(t.Context(), dir, ports[0])
	if err != nil {
		t.Fatal(err)
	}
	p.NoFsync = true
	p.More = []string{
		"ssl=on", "ssl_cert_file=" + place("tls.crt", read(pair.Cert)), "ssl_key_file=" + place("tls.key", read(pair.Key)), "ssl_ca_file=" + place("ca.crt", read(ca.File)),
		"hba_file=" + place("hba.conf", "host all postgres 127.0.0.1/32 scram-sha-256\nhostssl all todo 127.0.0.1/32 scram-sha-256 clientcert=verify-full\n"),
	}
	start(t, tools, p.Part())
	if err := p.EnsureDatabase(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ query, want string }{
		"all is well":           {"sslmode=verify-full&sslrootcert=" + ca.File + "&sslcert=" + own.Cert + "&sslkey=" + own.Key, ""},
		"no TLS":                {"sslmode=disable", "no encryption"},
		"another CA":            {"sslmode=verify-full&sslrootcert=" + other.File, "signed by unknown authority: correct sslrootcert or the host in postgres.dsn"},
		"no client certificate": {"sslmode=verify-full&sslrootcert=" + ca.File, "postgres.dsn"},
	} {
		dsn, err := url.Parse(p.DSN())
		if err != nil {
			t.Fatal(err)
		}
		dsn.RawQuery = tt.query
		cfg := postgres.Defaults()
		cfg.DSN = config.Secret(dsn.String())
		cfg.ConnectTimeout = time.Minute // a loaded machine is no fault
		db, err := postgres.Open(cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		var encrypted bool
		err = db.GetContext(t.Context(), &encrypted, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
		db.Close()
		if err == nil && !encrypted {
			t.Errorf("%s: the connection is in plain text", name)
		}
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
	testenv.Eventually(t, "the server goes on", func() bool {
		return p.AsSuperuser(func(db *sql.DB) error { return db.PingContext(t.Context()) }) == nil
	})
}
