package tlsconfig_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"example.com/todo/platform/testenv"
	"example.com/todo/platform/testenv/testca"
	"example.com/todo/platform/tlsconfig"
)

// serve echoes lines over TLS until the test ends, and returns its address. Without cfg it speaks no TLS.
func serve(t *testing.T, cfg *tls.Config) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			go func() {
				defer conn.Close()
				if cfg == nil {
					_, _ = io.WriteString(conn, "-ERR unknown command\r\n")
					return
				}
				secured := tls.Server(conn, cfg)
				_, _ = io.Copy(secured, secured)
			}()
		}
	}()
	return listener.Addr().String()
}

// echo sends a line over the connection and expects it back.
func echo(conn net.Conn) error {
	if _, err := io.WriteString(conn, "line\n"); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && line != "line\n" {
		return fmt.Errorf("got %q", line)
	}
	return err
}

func listenerConfig(t *testing.T, environ ...string) *tls.Config {
	t.Helper()
	s := mustLoad(t, environ...)
	cfg, err := s.HTTP.ListenerConfig(s.HTTP.Sources, tls.RequireAndVerifyClientCert, "http/1.1")
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// dial returns a connection with an own client of crypto/tls.
func dial(t *testing.T, addr string, cfg *tls.Config) (*tls.Conn, error) {
	t.Helper()
	conn, err := (&tls.Dialer{Config: cfg}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*tls.Conn), nil
}

func TestListenerUsesChangedFilesAndKeepsItsConnections(t *testing.T) {
	t.Parallel()
	ca := testca.New(t)
	pair := ca.Issue("first.example")
	addr := serve(t, listenerConfig(t, "HTTP_TLS_CERT="+pair.Cert, "HTTP_TLS_KEY="+pair.Key))
	client := func(name string) *tls.Config { return &tls.Config{RootCAs: ca.Pool(), ServerName: name} }
	open, err := dial(t, addr, client("first.example"))
	if err != nil {
		t.Fatal(err)
	}
	if got := open.ConnectionState(); got.Version != tls.VersionTLS13 {
		t.Errorf("version %x", got.Version)
	}

	pair.Renew(time.Now().AddDate(0, 1, 0), "second.example")
	testenv.Eventually(t, "the new certificate is used", func() bool {
		_, err := dial(t, addr, client("second.example"))
		return err == nil
	})
	if err := echo(open); err != nil {
		t.Errorf("the open connection: %v", err)
	}

	// A pair that does not match, as while a program replaces one file after the other.
	if err := os.WriteFile(pair.Key, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	testenv.Eventually(t, "the changed files were looked at", func() bool {
		if _, err := dial(t, addr, client("second.example")); err != nil {
			t.Fatalf("with a damaged key: %v", err)
		}
		return time.Since(start) > 2*time.Second
	})
	pair.Renew(time.Now().AddDate(0, 1, 0), "third.example")
	testenv.Eventually(t, "the corrected files are used", func() bool {
		_, err := dial(t, addr, client("third.example"))
		return err == nil
	})
}

func TestListenerSpeaksTLS12AndLater(t *testing.T) {
	t.Parallel()
	ca := testca.New(t)
	pair := ca.Issue("localhost")
	addr := serve(t, listenerConfig(t, "HTTP_TLS_CERT="+pair.Cert, "HTTP_TLS_KEY="+pair.Key))
	for version, accepted := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		_, err := dial(t, addr, &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost", MinVersion: version, MaxVersion: version})
		if (err == nil) != accepted {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
}

func TestListenerDemandsAClientCertificateOfItsCA(t *testing.T) {
	t.Parallel()
	ca, clientCA, other := testca.New(t), testca.New(t), testca.New(t)
	pair := ca.Issue("localhost")
	addr := serve(t, listenerConfig(t, "HTTP_TLS_CERT="+pair.Cert, "HTTP_TLS_KEY="+pair.Key, "HTTP_TLS_CLIENT_CA="+clientCA.File))
	try := func(certificates ...tls.Certificate) error {
		conn, err := dial(t, addr, &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost", Certificates: certificates, ClientSessionCache: sessions})
		if err != nil {
			return err
		}
		return echo(conn)
	}
	trusted := clientCA.Issue("client").TLS()
	for name, tt := range map[string]struct {
		certificates []tls.Certificate
		accepted     bool
	}{
		"none":             {nil, false},
		"of the client CA": {[]tls.Certificate{trusted}, true},
		"of another CA":    {[]tls.Certificate{other.Issue("client").TLS()}, false},
		"expired":          {[]tls.Certificate{clientCA.IssueUntil(time.Now().Add(-time.Hour), "client").TLS()}, false},
	} {
		if err := try(tt.certificates...); (err == nil) != tt.accepted {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The session of a client whose CA is no longer trusted must not be resumed.
	content, err := os.ReadFile(other.File)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(clientCA.File, content, 0o600); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "the client's CA is no longer trusted", func() bool { return try(trusted) != nil })
}

var sessions = tls.NewLRUClientSessionCache(8)

func TestFailedHandshakeNamesTheSetting(t *testing.T) {
	t.Parallel()
	ca, other := testca.New(t), testca.New(t)
	pair := ca.Issue("localhost", "127.0.0.1")
	server := func(pair testca.Pair) string {
		return serve(t, &tls.Config{Certificates: []tls.Certificate{pair.TLS()}})
	}
	demanding := func(t *testing.T) string {
		return serve(t, &tls.Config{Certificates: []tls.Certificate{pair.TLS()}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool()})
	}
	trust := "REDIS_TLS_CA=" + ca.File
	foreign := other.Issue("client")
	for name, tt := range map[string]struct {
		addr    string
		environ []string
		want    []string
	}{
		"all is well": {server(pair), []string{trust}, nil},
		"another host": {server(ca.Issue("other.example")), []string{trust},
			[]string{"doesn't contain any IP SANs", "connect by a name of the certificate: correct redis.addr"}},
		"expired": {server(ca.IssueUntil(time.Now().Add(-time.Hour), "127.0.0.1")), []string{trust},
			[]string{"certificate has expired", "replace the certificate of the server in redis.addr"}},
		"another CA":       {server(other.Issue("127.0.0.1")), []string{trust}, []string{"signed by unknown authority", "name the CA of the server's certificate in redis.tls_ca (environment REDIS_TLS_CA)"}},
		"the system's CAs": {server(pair), nil, []string{"signed by unknown authority", "redis.tls_ca (default; variable REDIS_TLS_CA)"}},
		"no TLS":           {serve(t, nil), []string{trust}, []string{"does not look like a TLS handshake", "the server does not speak TLS there: correct redis.addr", "or set redis.tls (environment REDIS_TLS) to false"}},
		"no client certificate": {demanding(t), []string{trust},
			[]string{"certificate required", "the server may demand a client certificate: set redis.tls_cert"}},
		"client certificate of another CA": {demanding(t), []string{trust, "REDIS_TLS_CERT=" + foreign.Cert, "REDIS_TLS_KEY=" + foreign.Key},
			[]string{"unknown certificate authority", "the server may reject the client certificate: correct redis.tls_cert (environment REDIS_TLS_CERT)"}},
		"a client certificate": {demanding(t), []string{trust, "REDIS_TLS_CERT=" + pair.Cert, "REDIS_TLS_KEY=" + pair.Key}, nil},
	} {
		err := tryHandshake(t, tt.addr, append(tt.environ, "REDIS_TLS=true")...)
		text := fmt.Sprint(err)
		if (err == nil) != (tt.want == nil) || strings.Contains(text, "\n") {
			t.Errorf("%s: got %v", name, err)
		}
		for _, want := range tt.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: got %v, want %q", name, err, want)
			}
		}
	}
}

// tryHandshake connects with the settings, sends a line and returns the explained error.
func tryHandshake(t *testing.T, addr string, environ ...string) error {
	t.Helper()
	s := mustLoad(t, environ...)
	client := tlsconfig.NewClient(s.Redis.ClientFiles, s.Redis.Sources, "addr")
	conn, err := handshake(t, client, addr)
	if err != nil {
		return err
	}
	return s.Redis.ExplainTLS(echo(conn), s.Redis.Sources, "addr")
}

func handshake(t *testing.T, client *tlsconfig.Client, addr string) (net.Conn, error) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return client.Handshake(t.Context(), conn, addr)
}

func TestClientUsesChangedFiles(t *testing.T) {
	t.Parallel()
	ca := testca.New(t)
	addr := serve(t, &tls.Config{Certificates: []tls.Certificate{ca.Issue("127.0.0.1").TLS()}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool()})
	expired := ca.IssueUntil(time.Now().Add(-time.Hour), "client")
	s := mustLoad(t, "REDIS_TLS=true", "REDIS_TLS_CA="+ca.File, "REDIS_TLS_CERT="+expired.Cert, "REDIS_TLS_KEY="+expired.Key)
	client := tlsconfig.NewClient(s.Redis.ClientFiles, s.Redis.Sources, "addr")
	try := func() error {
		conn, err := handshake(t, client, addr)
		if err != nil {
			return err
		}
		return echo(conn)
	}
	if err := try(); err == nil {
		t.Fatal("an expired certificate is accepted")
	}
	expired.Renew(time.Now().AddDate(0, 1, 0), "client")
	testenv.Eventually(t, "the new certificate is used", func() bool { return try() == nil })
	if err := os.WriteFile(ca.File, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	testenv.Eventually(t, "the damaged file was looked at", func() bool {
		if err := try(); err != nil {
			t.Fatalf("with a damaged file: %v", err)
		}
		return time.Since(start) > 2*time.Second
	})
}

func TestHandshakeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0") // accepts nothing
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	s := mustLoad(t, "REDIS_TLS=true")
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := tlsconfig.NewClient(s.Redis.ClientFiles, s.Redis.Sources, "addr").Handshake(ctx, conn, listener.Addr().String()); err == nil || ctx.Err() == nil {
		t.Errorf("got %v", err)
	}
}

func TestPinnedClientAcceptsExactlyItsCertificate(t *testing.T) {
	t.Parallel()
	ca := testca.New(t)
	expired, other := ca.IssueUntil(time.Now().Add(-time.Hour), "other.example"), ca.Issue("127.0.0.1")
	s := mustLoad(t, "HTTP_TLS_CERT="+expired.Cert, "HTTP_TLS_KEY="+expired.Key)
	pinned, err := s.HTTP.PinnedClient(s.HTTP.Sources)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, serve(t, &tls.Config{Certificates: []tls.Certificate{expired.TLS()}}), pinned); err != nil {
		t.Error(err)
	}
	_, err = dial(t, serve(t, &tls.Config{Certificates: []tls.Certificate{other.TLS()}}), pinned)
	if err == nil || !strings.Contains(err.Error(), "another certificate than the one in http.tls_cert (environment HTTP_TLS_CERT)") {
		t.Errorf("another certificate: %v", err)
	}
}
