package postgres_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/platform/config"
	"example.com/todo/platform/postgres"
	"example.com/todo/platform/testenv/testca"
	"example.com/todo/platform/tlsconfig"
)

// sslRequest asks a PostgreSQL server for TLS; it answers S or N.
var sslRequest = []byte{0, 0, 0, 8, 4, 210, 22, 47}

// terminateTLS speaks TLS with that configuration in front of the server at target, until the test ends. With nil it
// answers that there is no TLS. It returns its port.
func terminateTLS(t *testing.T, target string, cfg *tls.Config) (port string) {
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
			go forward(conn, target, cfg)
		}
	}()
	_, port, _ = net.SplitHostPort(listener.Addr().String())
	return port
}

func forward(conn net.Conn, target string, cfg *tls.Config) {
	defer conn.Close()
	request := make([]byte, len(sslRequest))
	if _, err := io.ReadFull(conn, request); err != nil || !bytes.Equal(request, sslRequest) {
		return
	}
	if cfg == nil {
		conn.Write([]byte("N"))
		return
	}
	conn.Write([]byte("S"))
	secured := tls.Server(conn, cfg)
	if secured.Handshake() != nil {
		io.Copy(io.Discard, conn) // otherwise the client could lose the alert
		return
	}
	server, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		defer server.Close()
		io.Copy(server, secured)
	}()
	io.Copy(secured, server)
}

func TestCertificateThatIsNotTrustedIsOneErrorAboutTheDSN(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	ca, other := testca.New(t), testca.New(t)
	certificate := func(pair testca.Pair) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{pair.TLS()}} }
	valid := certificate(ca.Issue("127.0.0.1"))
	demanding := &tls.Config{Certificates: valid.Certificates, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool()}
	own := ca.Issue("client")
	for name, tt := range map[string]struct {
		server *tls.Config
		query  string
		want   string // "" for a connection
	}{
		"all is well":             {valid, "sslmode=verify-full&sslrootcert=" + ca.File, ""},
		"a client certificate":    {demanding, "sslmode=verify-full&sslrootcert=" + ca.File + "&sslcert=" + own.Cert + "&sslkey=" + own.Key, ""},
		"another host":            {certificate(ca.Issue("db.example")), "sslmode=verify-full&sslrootcert=" + ca.File, "doesn't contain any IP SANs: correct sslrootcert or the host in"},
		"another host, unchecked": {certificate(ca.Issue("db.example")), "sslmode=verify-ca&sslrootcert=" + ca.File, ""},
		"another CA":              {valid, "sslmode=verify-full&sslrootcert=" + other.File, "signed by unknown authority"},
		"another CA, verify-ca":   {valid, "sslmode=verify-ca&sslrootcert=" + other.File, "signed by unknown authority"},
		"expired":                 {certificate(ca.IssueUntil(time.Now().Add(-time.Hour), "127.0.0.1")), "sslmode=verify-full&sslrootcert=" + ca.File, "or replace the server's certificate"},
		"no TLS there":            {nil, "sslmode=verify-full&sslrootcert=" + ca.File, "SSL is not enabled on the server"},
		"no client certificate":   {demanding, "sslmode=verify-full&sslrootcert=" + ca.File, "certificate required: does it demand a client certificate? Then correct sslcert and sslkey in"},
	} {
		secured := *dsn
		secured.Host = "127.0.0.1:" + terminateTLS(t, dsn.Host, tt.server)
		secured.RawQuery = tt.query
		err := connect(t, secured)
		text := fmt.Sprint(err)
		switch {
		case (err == nil) != (tt.want == ""):
			t.Errorf("%s: got %v", name, err)
		case err == nil:
		case !strings.Contains(text, tt.want) || !strings.Contains(text, "postgres.dsn (environment POSTGRES_DSN)") || strings.Contains(text, "\n"):
			t.Errorf("%s: got %v, want one line with %q and the setting", name, err, tt.want)
		}
		if password, _ := dsn.User.Password(); password != "" && strings.Contains(text, password) {
			t.Errorf("%s: the error has the password", name)
		}
	}
}

// connect executes a statement and returns its error.
func connect(t *testing.T, dsn url.URL) error {
	t.Helper()
	cfg := struct {
		Postgres postgres.Config `config:"postgres"`
	}{postgres.Defaults()}
	if err := config.Load(&cfg, "", []string{"POSTGRES_DSN=" + dsn.String(), "POSTGRES_CONNECT_TIMEOUT=1m"}); err != nil {
		return err
	}
	db, err := postgres.Open(cfg.Postgres, nil)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(t.Context(), "SELECT 1")
	return err
}

func TestMonitorKnowsConnectionsInPlainText(t *testing.T) {
	t.Parallel()
	for dsn, addr := range map[string]string{
		"postgres://db.example/todo?sslmode=disable":                                    "db.example",
		"postgres://db.example/todo?sslmode=prefer":                                     "db.example",
		"postgres://a,localhost,b/todo?sslmode=disable&target_session_attrs=read-write": "a,b",
		"host=x hostaddr=10.0.0.1 sslmode=disable":                                      "10.0.0.1",
		"postgres://db.example/todo?sslmode=require":                                    "",
		"postgres://db.example/todo":                                                    "",
		"postgres://localhost/todo?sslmode=disable":                                     "",
		"host=/var/run/postgresql sslmode=disable":                                      "",
	} {
		cfg := postgres.Defaults()
		cfg.DSN = config.Secret(dsn)
		var lines bytes.Buffer
		tlsconfig.NewMonitor(slog.New(slog.NewTextHandler(&lines, nil)), prometheus.NewRegistry(), cfg.TLSEndpoint())
		if got := lines.String(); (addr == "") != (got == "") || !strings.Contains(got, addr) {
			t.Errorf("%s: got %q", dsn, got)
		}
	}
}
