package kafka_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"example.com/todo/platform/config"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/consumer"
	"example.com/todo/platform/kafka/producer"
	"example.com/todo/platform/kafka/reader"
	"example.com/todo/platform/testenv"
	"example.com/todo/platform/testenv/testca"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// startKafka starts a broker that demands TLS and a password, and returns its address.
func startKafka(t *testing.T, cfg *tls.Config) string {
	t.Helper()
	options := []kfake.Opt{
		kfake.NumBrokers(1), kfake.SeedTopics(1, "things", "things-dlq"), kfake.EnableSASL(),
		kfake.Superuser("PLAIN", "plain-user", "right"), kfake.Superuser("SCRAM-SHA-256", "user-256", "right"), kfake.Superuser("SCRAM-SHA-512", "user-512", "right"),
	}
	if cfg != nil {
		options = append(options, kfake.TLS(cfg))
	}
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		t.Fatal(err)
	}
	// Kafka says that the password is wrong. kfake would only close the connection.
	cluster.ControlKey(kmsg.SASLAuthenticate.Int16(), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		authenticate := request.(*kmsg.SASLAuthenticateRequest)
		response := authenticate.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		response.ErrorCode = kerr.SaslAuthenticationFailed.Code
		return response, nil, strings.Contains(string(authenticate.SASLAuthBytes), "stranger")
	})
	t.Cleanup(cluster.Close)
	return cluster.ListenAddrs()[0]
}

// load returns the settings of the environment, with one partition.
func load(environ ...string) (kafka.Config, error) {
	cfg := struct {
		Kafka kafka.Config `config:"kafka"`
	}{kafka.Defaults("test")}
	err := config.Load(&cfg, "", append(environ, "KAFKA_PARTITIONS=1"))
	return cfg.Kafka, err
}

// counter counts records.
type counter chan int

func (c counter) Handle(_ context.Context, batch []kafka.Record) (int, error) {
	c <- len(batch)
	return len(batch), nil
}

func TestProducerReaderAndGroupUseTLSAndSASL(t *testing.T) {
	t.Parallel()
	ca := testca.New(t)
	own := ca.Issue("client")
	addr := startKafka(t, &tls.Config{Certificates: []tls.Certificate{ca.Issue("127.0.0.1").TLS()}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool()})
	for mechanism, user := range map[string]string{"plain": "plain-user", "scram-sha-256": "user-256", "scram-sha-512": "user-512"} {
		cfg, err := load("KAFKA_BROKERS="+addr, "KAFKA_TLS=true", "KAFKA_TLS_CA="+ca.File, "KAFKA_TLS_CERT="+own.Cert, "KAFKA_TLS_KEY="+own.Key,
			"KAFKA_SASL_MECHANISM="+mechanism, "KAFKA_SASL_USERNAME="+user, "KAFKA_SASL_PASSWORD=right")
		if err != nil {
			t.Fatal(err)
		}
		p := producer.New(cfg, nil)
		if err := p.Send(t.Context(), []kafka.Record{{Topic: "things", Value: []byte("x")}}); err != nil {
			t.Errorf("%s: %v", mechanism, err)
			continue
		}
		p.Close()
		scanned := 0
		_, err = reader.Scan(t.Context(), cfg, "things", nil, func(_ context.Context, batch []kafka.Record) error {
			scanned += len(batch)
			return nil
		})
		if err != nil || scanned == 0 {
			t.Errorf("%s: scanned %d records: %v", mechanism, scanned, err)
		}
		handled := make(counter)
		group := consumer.NewGroup(consumer.GroupConfig{Config: cfg, Group: mechanism, Topic: "things", DLQ: "things-dlq"}, handled, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		ended := make(chan error, 1)
		go func() { ended <- group.Run(ctx) }()
		for left := scanned; left > 0 && ctx.Err() == nil; {
			select {
			case count := <-handled:
				left -= count
			case <-ctx.Done():
				t.Errorf("%s: the group did not get %d of %d records: %v", mechanism, left, scanned, group.Ready(t.Context()))
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestRejectedConnectionNamesTheSetting(t *testing.T) {
	t.Parallel()
	ca, other := testca.New(t), testca.New(t)
	certificate := func(pair testca.Pair) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{pair.TLS()}}
	}
	addr := startKafka(t, certificate(ca.Issue("127.0.0.1")))
	mutual := startKafka(t, &tls.Config{Certificates: []tls.Certificate{ca.Issue("127.0.0.1").TLS()}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool()})
	trust := []string{"KAFKA_TLS=true", "KAFKA_TLS_CA=" + ca.File}
	user := []string{"KAFKA_SASL_MECHANISM=scram-sha-512", "KAFKA_SASL_USERNAME=user-512", "KAFKA_SASL_PASSWORD=hunter2"}
	for name, tt := range map[string]struct {
		addr    string
		environ []string
		want    string
	}{
		"a wrong password": {addr, append(trust, "KAFKA_SASL_MECHANISM=scram-sha-256", "KAFKA_SASL_USERNAME=stranger", "KAFKA_SASL_PASSWORD=hunter2"), "correct kafka.sasl_username (environment KAFKA_SASL_USERNAME) or kafka.sasl_password (environment KAFKA_SASL_PASSWORD)"},
		"a wrong password, plain": {addr, append(trust, "KAFKA_SASL_MECHANISM=plain", "KAFKA_SASL_USERNAME=stranger", "KAFKA_SASL_PASSWORD=hunter2"),
			"correct kafka.sasl_username (environment KAFKA_SASL_USERNAME) or kafka.sasl_password (environment KAFKA_SASL_PASSWORD)"},
		"another CA":            {addr, append(user, "KAFKA_TLS=true", "KAFKA_TLS_CA="+other.File), "name the CA of the server's certificate in kafka.tls_ca (environment KAFKA_TLS_CA)"},
		"another host":          {startKafka(t, certificate(ca.Issue("kafka.example"))), append(user, trust...), "connect by a name of the certificate: correct kafka.brokers (environment KAFKA_BROKERS)"},
		"expired":               {startKafka(t, certificate(ca.IssueUntil(time.Now().Add(-time.Hour), "127.0.0.1"))), append(user, trust...), "replace the certificate of the server in kafka.brokers (environment KAFKA_BROKERS)"},
		"no client certificate": {mutual, append(user, trust...), "the server may demand a client certificate: set kafka.tls_cert"},
		"no TLS there":          {startKafka(t, nil), append(user, trust...), "kafka.brokers (environment KAFKA_BROKERS)"},
		"TLS there":             {addr, user, "kafka.brokers (environment KAFKA_BROKERS)"},
		"closed by the broker":  {addr, append(trust, user...), "do kafka.tls, kafka.sasl_mechanism and the credentials fit the listener"},
		"no SASL":               {addr, trust, "kafka.brokers (environment KAFKA_BROKERS)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, err := load(append(tt.environ, "KAFKA_BROKERS="+tt.addr)...)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			err = reader.CheckTopic(ctx, cfg, "things")
			if text := fmt.Sprint(err); err == nil || !strings.Contains(text, tt.want) || strings.Contains(text, "hunter2") || errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestValidateRejectsIncompleteCredentials(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		environ []string
		want    string
	}{
		"unknown mechanism":                 {[]string{"KAFKA_SASL_MECHANISM=gssapi", "KAFKA_SASL_USERNAME=u", "KAFKA_SASL_PASSWORD=hunter2"}, `kafka.sasl_mechanism: "gssapi" from environment KAFKA_SASL_MECHANISM: must be plain, scram-sha-256 or scram-sha-512`},
		"a mechanism without a user":        {[]string{"KAFKA_SASL_MECHANISM=plain", "KAFKA_SASL_PASSWORD=hunter2"}, `kafka.sasl_mechanism: "plain" from environment KAFKA_SASL_MECHANISM: needs a user: set sasl_username`},
		"a user without a password":         {[]string{"KAFKA_SASL_MECHANISM=plain", "KAFKA_SASL_USERNAME=u"}, `kafka.sasl_username: "u" from environment KAFKA_SASL_USERNAME: needs a password: set sasl_password`},
		"a user without a mechanism":        {[]string{"KAFKA_SASL_USERNAME=u"}, `kafka.sasl_username: "u" from environment KAFKA_SASL_USERNAME: has no effect without sasl_mechanism: set that, too`},
		"a password without mechanism":      {[]string{"KAFKA_SASL_PASSWORD=hunter2"}, `kafka.sasl_password: [secret] from environment KAFKA_SASL_PASSWORD: has no effect without sasl_mechanism: set that, too`},
		"a password file that is not there": {[]string{"KAFKA_SASL_MECHANISM=plain", "KAFKA_SASL_USERNAME=u", "KAFKA_SASL_PASSWORD_FILE=/not/there"}, `kafka.sasl_password: [secret] from environment KAFKA_SASL_PASSWORD_FILE: names a file that does not exist`},
		"NUL in the password":               {[]string{"KAFKA_SASL_MECHANISM=plain", "KAFKA_SASL_USERNAME=u", "KAFKA_SASL_PASSWORD=hunter2\x00x"}, `kafka.sasl_password: [secret] from environment KAFKA_SASL_PASSWORD: must not contain the character NUL, which separates it from the user`},
	} {
		if _, err := load(tt.environ...); fmt.Sprint(err) != tt.want {
			t.Errorf("%s: got %v, want %s", name, err, tt.want)
		}
	}
}
