package e2e

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/IBM/sarama"
	"github.com/redis/go-redis/v9"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// secure says that the system has sign-in, TLS and SASL.
var secure = os.Getenv("E2E_SECURE") == "1" || variant == "secure"

// access is how the tests reach a system: over TLS or in plaintext, and as which users.
type access struct {
	deployment
	tls   *tls.Config // nil for plaintext
	http  *http.Client
	users map[string]user // by the name of their test, and the "admin"
}

// newAccess returns the access to a system that has started.
func newAccess(d deployment) (*access, error) {
	a := &access{deployment: d, http: http.DefaultClient, users: map[string]user{}}
	if !secure {
		return a, nil
	}
	ca, err := os.ReadFile(d.credential("TLS_CA"))
	if err != nil {
		return nil, err
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(ca) {
		return nil, errors.New("TLS_CA has no certificate")
	}
	own, err := tls.LoadX509KeyPair(d.credential("TLS_CLIENT_CERT"), d.credential("TLS_CLIENT_KEY"))
	if err != nil {
		return nil, err
	}
	a.tls = &tls.Config{RootCAs: authorities, Certificates: []tls.Certificate{own}}
	a.http = &http.Client{Transport: &http.Transport{TLSClientConfig: a.tls}}
	return a, nil
}

// url returns a URL of a listener, by its variable in stack.env.
func (a *access) url(variable, path string) string {
	scheme := "http://"
	if a.tls != nil {
		scheme = "https://"
	}
	return scheme + a.address(variable) + path
}

// clientFrom returns a client with a fixed local address and a new source port for each request. Without an address it
// is the usual client.
func (a *access) clientFrom(addr string) *http.Client {
	if addr == "" {
		return a.http
	}
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}}
	return &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true, TLSClientConfig: a.tls}}
}

func (a *access) grpcCredentials() credentials.TransportCredentials {
	if a.tls == nil {
		return insecure.NewCredentials()
	}
	return credentials.NewTLS(a.tls)
}

func redisClient(t *testing.T) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{
		Addr: system.address("REDIS_ADDR"), TLSConfig: system.tls,
		Username: system.credential("REDIS_ADMIN_USERNAME"), Password: system.credential("REDIS_ADMIN_PASSWORD"),
	})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func kafkaClient(t *testing.T) sarama.Client {
	t.Helper()
	cfg := sarama.NewConfig()
	cfg.Version = sarama.V2_8_0_0
	cfg.Producer.Return.Successes = true
	cfg.Producer.RequiredAcks = sarama.WaitForAll
	cfg.Producer.MaxMessageBytes = 1 << 20
	if system.tls != nil {
		cfg.Net.TLS.Enable, cfg.Net.TLS.Config = true, system.tls
		cfg.Net.SASL.Enable, cfg.Net.SASL.Mechanism = true, sarama.SASLTypePlaintext
		cfg.Net.SASL.User, cfg.Net.SASL.Password = system.credential("KAFKA_ADMIN_USERNAME"), system.credential("KAFKA_ADMIN_PASSWORD")
	}
	client, err := sarama.NewClient(strings.Split(system.address("KAFKA_BROKERS"), ","), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// postgresDSN is that of a role that may lock tables.
func postgresDSN() string {
	return cmp.Or(system.credential("POSTGRES_OWNER_DSN"), system.address("POSTGRES_DSN"))
}

// checkReady returns an error if a service is not ready, by its ops address's variable.
func (a *access) checkReady(ctx context.Context, ops string) error {
	readiness, err := try(ctx, a.http, http.MethodGet, a.url(ops, "/readyz"), "")
	if err == nil && readiness.status != http.StatusOK {
		err = fmt.Errorf("%s is not ready: %s", ops, readiness.body)
	}
	return err
}
