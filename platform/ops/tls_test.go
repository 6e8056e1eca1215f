package ops_test

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/todo/platform/command"
	"example.com/todo/platform/ops"
	"example.com/todo/platform/testenv/testca"
)

func TestClientCertificateIsDemandedForAllButProbes(t *testing.T) {
	t.Parallel()
	ca, clients := testca.New(t), testca.New(t)
	pair := ca.Issue("127.0.0.1")
	cfg := ops.Defaults("")
	cfg.Pprof, cfg.TLSCert, cfg.TLSKey, cfg.TLSClientCA = true, pair.Cert, pair.Key, clients.File
	p := listen(t, cfg, slog.New(slog.DiscardHandler), ops.Check{Name: "x", Func: alwaysReady})
	status := func(path string, certificates ...tls.Certificate) int {
		client := &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), Certificates: certificates},
		}}
		resp, err := client.Get("https://" + p.Addr() + path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return 0
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	own := clients.Issue("prometheus").TLS()
	for path, want := range map[string]int{
		"/livez": 200, "/readyz": 200, "/metrics": 403, "/debug/pprof/": 403, "/debug/pprof/cmdline": 403, "/other": 403,
	} {
		if got := status(path); got != want {
			t.Errorf("%s without a certificate: %d, want %d", path, got, want)
		}
		if got := status(path, own); got != 200 && path != "/other" {
			t.Errorf("%s with a certificate: %d", path, got)
		}
	}
	if _, err := (&tls.Dialer{Config: &tls.Config{RootCAs: ca.Pool(), Certificates: []tls.Certificate{own}, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS11}}).DialContext(t.Context(), "tcp", p.Addr()); err == nil {
		t.Error("TLS 1.1 is accepted")
	}
}

func TestMetricsNeedNoClientCertificateWithoutAClientCA(t *testing.T) {
	t.Parallel()
	ca := testca.New(t)
	pair := ca.Issue("127.0.0.1")
	cfg := ops.Defaults("")
	cfg.TLSCert, cfg.TLSKey = pair.Cert, pair.Key
	p := listen(t, cfg, slog.New(slog.DiscardHandler))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}}}
	resp, err := client.Get("https://" + p.Addr() + "/metrics")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("got %v, %v", resp, err)
	}
	resp.Body.Close()
}

func TestProbeAcceptsExactlyTheCertificateOfThePort(t *testing.T) {
	t.Parallel()
	ca := testca.New(t)
	// A health check must not fail because the certificate is for the name of the service, or has expired.
	pair, other := ca.IssueUntil(time.Now().Add(-time.Hour), "service.example"), ca.Issue("127.0.0.1")
	cfg := ops.Defaults("")
	cfg.TLSCert, cfg.TLSKey, cfg.TLSClientCA = pair.Cert, pair.Key, ca.File
	p := listen(t, cfg, slog.New(slog.DiscardHandler), ops.Check{Name: "x", Func: alwaysReady})
	cfg.Addr = p.Addr()
	if err := ops.Probe(t.Context(), cfg); err != nil {
		t.Error(err)
	}
	cfg.TLSCert, cfg.TLSKey, cfg.Sources.Section = other.Cert, other.Key, "ops"
	if err := ops.Probe(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "the server has another certificate than the one in ops.tls_cert") {
		t.Errorf("another certificate: %v", err)
	}
	if err := ops.Probe(t.Context(), ops.Config{Addr: p.Addr()}); err == nil {
		t.Error("a probe without TLS is answered")
	}
}

// certifiedPort returns the settings of a running port with TLS, and its certificate.
func certifiedPort(t *testing.T, ca *testca.CA) (ops.Config, testca.Pair) {
	t.Helper()
	pair := ca.Issue("127.0.0.1")
	cfg := ops.Defaults("")
	cfg.TLSCert, cfg.TLSKey = pair.Cert, pair.Key
	cfg.Addr = listen(t, cfg, slog.New(slog.DiscardHandler), ops.Check{Name: "x", Func: alwaysReady}).Addr()
	return cfg, pair
}

func TestProbeRepeatsWhileTheServerHasTheCertificateOfBefore(t *testing.T) {
	t.Parallel()
	cfg, pair := certifiedPort(t, testca.New(t))
	if err := ops.Probe(t.Context(), cfg); err != nil { // the server reads its files again a second later
		t.Fatal(err)
	}
	pair.Renew(time.Now().Add(time.Hour), "127.0.0.1")
	if err := ops.Probe(t.Context(), cfg); err != nil {
		t.Error(err)
	}
}

func TestHealthcheckReadsOnlyTheAddressAndTheCertificateOfThePort(t *testing.T) {
	t.Parallel()
	cfg, pair := certifiedPort(t, testca.New(t))
	if err := os.WriteFile(pair.Key, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		settings, want string
		status         int
	}{
		"files of others are damaged": {
			settings: "ops: {addr: '" + cfg.Addr + "', tls_cert: " + pair.Cert + ", tls_key: " + pair.Key + ", max_conns: 0}\nhttp: {tls_cert: /not/there}\n",
		},
		"no certificate": {settings: "ops: {addr: '" + cfg.Addr + "'}", status: command.ExitFailure, want: "400 Bad Request"},
		"a bad address":  {settings: "ops: {addr: '9101'}", status: command.ExitUsage, want: "ops.addr: "},
	} {
		file := filepath.Join(t.TempDir(), "settings.yaml")
		if err := os.WriteFile(file, []byte(tt.settings), 0o600); err != nil {
			t.Fatal(err)
		}
		load := func(string, []string) (struct{}, error) {
			t.Error("the settings of the program were read")
			return struct{}{}, nil
		}
		p := command.New("service", "Serves", load, func(context.Context, struct{}) error { return nil })
		ops.AddHealthcheck(p, "127.0.0.1:1")
		var stderr strings.Builder
		if status := p.Run(t.Context(), []string{"healthcheck", "--config", file}, io.Discard, &stderr); status != tt.status || !strings.Contains(stderr.String(), tt.want) {
			t.Errorf("%s: status %d, want %d; %s", name, status, tt.status, stderr.String())
		}
	}
}
