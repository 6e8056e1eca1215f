package redis_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"example.com/todo/platform/config"
	"example.com/todo/platform/redis"
	"example.com/todo/platform/testenv"
	"example.com/todo/platform/testenv/testca"
)

// startTLS starts a Redis with that certificate, which has a user "app" with the password "right". It returns the
// addresses with and without TLS.
func startTLS(t *testing.T, pair testca.Pair, ca *testca.CA, authClients string) (secure, plain string) {
	t.Helper()
	secure = testenv.FreeAddr(t)
	_, port, _ := net.SplitHostPort(secure)
	plain = testenv.StartRedis(t, "--tls-port", port, "--tls-cert-file", pair.Cert, "--tls-key-file", pair.Key, "--tls-ca-cert-file", ca.File,
		"--tls-auth-clients", authClients, "--user", "app", "on", ">right", "~*", "&*", "+@all", "--user", "default", "off")
	return secure, plain
}

// load returns the settings of the environment.
func load(environ ...string) (redis.Config, error) {
	cfg := struct {
		Redis redis.Config `config:"redis"`
	}{redis.Defaults()}
	err := config.Load(&cfg, "", append(environ, "REDIS_TIMEOUT=2s"))
	return cfg.Redis, err
}

// ready loads the settings and runs the readiness check once.
func ready(t *testing.T, environ ...string) error {
	t.Helper()
	cfg, err := load(environ...)
	if err != nil {
		return err
	}
	client := redis.Open(cfg, "redis", nil)
	defer client.Close()
	return redis.Ready(t.Context(), client, cfg, "test")
}

func TestConnectionWithTLSAndAUser(t *testing.T) {
	t.Parallel()
	ca, other := testca.New(t), testca.New(t)
	addr, plain := startTLS(t, ca.Issue("127.0.0.1"), ca, "no")
	mutual, _ := startTLS(t, ca.Issue("127.0.0.1"), ca, "yes")
	elsewhere, _ := startTLS(t, ca.Issue("redis.example"), ca, "no")
	expired, _ := startTLS(t, ca.IssueUntil(time.Now().Add(-time.Hour), "127.0.0.1"), ca, "no")
	own, foreign := ca.Issue("client"), other.Issue("client")
	trust, user := "REDIS_TLS_CA="+ca.File, []string{"REDIS_USERNAME=app", "REDIS_PASSWORD=right"}
	for name, tt := range map[string]struct {
		environ []string
		want    string
	}{
		"a user":                 {append(user, "REDIS_ADDR="+addr, "REDIS_TLS=true", trust), ""},
		"a client certificate":   {append(user, "REDIS_ADDR="+mutual, "REDIS_TLS=true", trust, "REDIS_TLS_CERT="+own.Cert, "REDIS_TLS_KEY="+own.Key), ""},
		"a wrong password":       {[]string{"REDIS_USERNAME=app", "REDIS_PASSWORD=hunter2", "REDIS_ADDR=" + addr, "REDIS_TLS=true", trust}, "correct redis.password (environment REDIS_PASSWORD) or redis.username (environment REDIS_USERNAME)"},
		"no client certificate":  {append(user, "REDIS_ADDR="+mutual, "REDIS_TLS=true", trust), "the server may demand a client certificate: set redis.tls_cert"},
		"another's certificate":  {append(user, "REDIS_ADDR="+mutual, "REDIS_TLS=true", trust, "REDIS_TLS_CERT="+foreign.Cert, "REDIS_TLS_KEY="+foreign.Key), "the server may reject the client certificate: correct redis.tls_cert (environment REDIS_TLS_CERT)"},
		"another CA":             {append(user, "REDIS_ADDR="+addr, "REDIS_TLS=true", "REDIS_TLS_CA="+other.File), "name the CA of the server's certificate in redis.tls_ca (environment REDIS_TLS_CA)"},
		"another host":           {append(user, "REDIS_ADDR="+elsewhere, "REDIS_TLS=true", trust), "connect by a name of the certificate: correct redis.addr (environment REDIS_ADDR)"},
		"an expired certificate": {append(user, "REDIS_ADDR="+expired, "REDIS_TLS=true", trust), "replace the certificate of the server in redis.addr (environment REDIS_ADDR)"},
		"TLS to a plain port":    {append(user, "REDIS_ADDR="+plain, "REDIS_TLS=true", trust), "does it speak TLS there? Correct redis.addr (environment REDIS_ADDR), or set redis.tls (environment REDIS_TLS) to false"},
		"no TLS to a TLS port":   {append(user, "REDIS_ADDR="+addr), "does it want TLS although redis.tls (default; variable REDIS_TLS) is false?"},
	} {
		err := ready(t, tt.environ...)
		text := fmt.Sprint(err)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(text, tt.want) || strings.Contains(text, "\n") || strings.Contains(text, "hunter2") {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

// The time is the best of several: a busy machine may be slow, but not always.
func TestFirstCommandOverTLSWaitsForItsReplyAlone(t *testing.T) {
	t.Parallel()
	ca := testca.New(t)
	addr, plain := startTLS(t, ca.Issue("127.0.0.1"), ca, "no")
	cfg, err := load("REDIS_ADDR="+addr, "REDIS_TLS=true", "REDIS_TLS_CA="+ca.File, "REDIS_USERNAME=app", "REDIS_PASSWORD=right")
	if err != nil {
		t.Fatal(err)
	}
	best := time.Hour
	for range 10 {
		client := redis.Open(cfg, "redis", nil)
		testenv.Eventually(t, "an idle connection", func() bool { return client.PoolStats().IdleConns > 0 })
		// Redis has one thread: with this reply it has ended the handshake, and sent its session tickets.
		if err := ready(t, "REDIS_ADDR="+plain, "REDIS_USERNAME=app", "REDIS_PASSWORD=right"); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := client.Ping(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(began))
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if best >= 40*time.Millisecond { // a request waits for Redis no longer
		t.Errorf("the first command of a connection takes %v", best)
	}
}
