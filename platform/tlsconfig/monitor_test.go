package tlsconfig_test

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"example.com/todo/platform/process/processtest"
	"example.com/todo/platform/testenv/testca"
	"example.com/todo/platform/tlsconfig"
)

// logBuffer collects log lines without their times.
func logBuffer() (*slog.Logger, *processtest.Log) {
	lines := &processtest.Log{}
	return slog.New(slog.NewTextHandler(lines, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})), lines
}

func TestMonitorWarnsOfExpiryOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ca := testca.New(t)
		const day = 24 * time.Hour
		expiry := time.Now().Add(15 * day)
		pair := ca.IssueUntil(expiry, "localhost")
		s := mustLoad(t, "HTTP_TLS_CERT="+pair.Cert, "HTTP_TLS_KEY="+pair.Key, "HTTP_TLS_CLIENT_CA="+ca.File)
		log, lines := logBuffer()
		registry := prometheus.NewRegistry()
		monitor := tlsconfig.NewMonitor(log, registry, s.HTTP.TLSEndpoint("http"), tlsconfig.Endpoint{})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- monitor.Run(ctx) }()
		seen := 0 // bytes of the log
		expect := func(when, want string) {
			t.Helper()
			synctest.Wait()
			got := lines.String()[seen:]
			if got != want {
				t.Errorf("%s: got %swant %s", when, got, want)
			}
			seen += len(got)
		}
		expect("at the start", "")
		got := testutil.CollectAndCount(registry)
		if got != 3 { // two files, one section
			t.Errorf("%d series", got)
		}
		<-time.After(2 * day)
		when := expiry.UTC().Format(time.RFC3339)
		expect("13 days before", "level=WARN msg=\"tls: a certificate expires soon\" setting=http.tls_cert expires="+when+"\n")
		<-time.After(5 * day)
		expect("8 days before", "")
		<-time.After(9 * day)
		expect("one day after", "level=WARN msg=\"tls: a certificate has expired\" setting=http.tls_cert expires="+when+"\n")
		pair.Renew(time.Now().Add(60*day), "localhost")
		<-time.After(2 * time.Minute)
		expect("after the renewal", "level=INFO msg=\"tls: new certificate files are in use\" section=http\n")
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestMonitorReportsFilesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ca := testca.New(t)
		pair := ca.Issue("localhost")
		s := mustLoad(t, "REDIS_TLS=true", "REDIS_TLS_CA="+ca.File, "REDIS_TLS_CERT="+pair.Cert, "REDIS_TLS_KEY="+pair.Key)
		log, lines := logBuffer()
		registry := prometheus.NewRegistry()
		monitor := tlsconfig.NewMonitor(log, registry, s.Redis.ClientEndpoint(s.Redis.Sources, "redis:6379"))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = monitor.Run(ctx) }()
		expectSuccess := func(want string) {
			t.Helper()
			synctest.Wait()
			const help = "# HELP tls_last_reload_successful 1 while the certificate files of a section can be used, 0 while those read before stay in use.\n# TYPE tls_last_reload_successful gauge\n"
			if err := testutil.GatherAndCompare(registry, strings.NewReader(help+`tls_last_reload_successful{section="redis"} `+want+"\n"), "tls_last_reload_successful"); err != nil {
				t.Error(err)
			}
		}
		expectSuccess("1")
		if err := os.WriteFile(pair.Key, []byte("hunter2"), 0o600); err != nil {
			t.Fatal(err)
		}
		<-time.After(2 * time.Minute)
		expectSuccess("0")
		const lost = "tls: the certificate files cannot be used, those read before stay in use"
		if got := lines.String(); strings.Count(got, lost) != 1 || !strings.Contains(got, "tls_key") || strings.Contains(got, "hunter2") {
			t.Errorf("got %s", got)
		}
		pair.Renew(time.Now().AddDate(1, 0, 0), "localhost")
		<-time.After(2 * time.Minute)
		expectSuccess("1")
		if got := lines.String(); !strings.Contains(got, "tls: the certificate files can be used again") {
			t.Errorf("got %s", got)
		}
	})
}

func TestMonitorReportsPlainTextToAnotherMachineOnce(t *testing.T) {
	t.Parallel()
	for addr, remote := range map[string]bool{
		"localhost:6379": false, "127.0.0.1:6379": false, "127.8.8.8:1": false, "[::1]:6379": false, "[::ffff:127.0.0.1]:1": false, "redis.localhost:1": false, "LOCALHOST.:1": false,
		"/var/run/postgresql": false, "@socket": false, "::1": false,
		"redis:6379": true, "10.0.0.1:6379": true, "localhost.example.com:1": true, "[fe80::1]:1": true, "db.example": true, "0.0.0.0:1": true,
	} {
		log, lines := logBuffer()
		tlsconfig.NewMonitor(log, prometheus.NewRegistry(), tlsconfig.PlaintextEndpoint("redis", "redis.tls", "localhost:1", addr))
		want := ""
		if remote {
			want = `level=WARN msg="tls: connections to another machine are in plain text" section=redis addr=` + addr + " setting=redis.tls\n"
		}
		if got := strings.ReplaceAll(lines.String(), `"`+addr+`"`, addr); got != want {
			t.Errorf("%s: got %q, want %q", addr, got, want)
		}
	}
	s := mustLoad(t, "REDIS_TLS=true")
	log, lines := logBuffer()
	tlsconfig.NewMonitor(log, prometheus.NewRegistry(), s.Redis.ClientEndpoint(s.Redis.Sources, "redis:6379"), s.HTTP.TLSEndpoint("http"))
	if got := lines.String(); got != "" {
		t.Errorf("with TLS: %s", got)
	}
}
