package startuptest

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"example.com/todo/platform/process/processtest"
	"example.com/todo/platform/testenv"
	"example.com/todo/platform/testenv/testca"
)

// planted is in each secret of CheckSecured. No output may contain it.
const planted = "planted"

// CheckSecured runs the service with TLS on the listeners of the sections, such as "http", and with a Redis and a Kafka
// that demand TLS, a client certificate and a password. The service must become ready, demand a client certificate for
// /metrics, connect without a warning, and print no secret. more are further settings.
func CheckSecured(t *testing.T, s processtest.Service, sections, topics []string, more ...string) {
	t.Helper()
	ca := testca.New(t)
	env, ops := s.Settings(t)
	env = slices.Concat(env, more, securedListeners(ca, sections), securedRedis(t, ca), securedKafka(t, ca, topics), []string{"LOG_FORMAT=json", "LOG_LEVEL=DEBUG"})
	var log processtest.Log
	command := processtest.Command(env)
	command.Stdout, command.Stderr = &log, &log
	processtest.Start(t, command)
	get := func(path string, certificates ...tls.Certificate) (status int, body string) {
		client := &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), Certificates: certificates, MinVersion: tls.VersionTLS12},
		}}
		resp, err := client.Get("https://" + ops + path) //nolint:noctx // the process ends with the test
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(text)
	}
	testenv.Eventually(t, "the service is ready", func() bool {
		status, _ := get("/readyz")
		return status == http.StatusOK
	})
	if status, _ := get("/metrics"); status != http.StatusForbidden {
		t.Errorf("/metrics without a client certificate: %d", status)
	}
	status, metrics := get("/metrics", ca.Issue("prometheus").TLS())
	if want := `tls_certificate_expiry_timestamp_seconds{file="tls_cert",section="ops"}`; status != http.StatusOK || !strings.Contains(metrics, want) {
		t.Errorf("/metrics with a client certificate: %d, without %s", status, want)
	}
	for _, section := range sections {
		addr := env[slices.IndexFunc(env, func(variable string) bool { return strings.HasPrefix(variable, strings.ToUpper(section)+"_ADDR=") })]
		_, addr, _ = strings.Cut(addr, "=")
		conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: ca.Pool(), NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12}}).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Errorf("%s: %v", section, err)
			continue
		}
		conn.Close()
	}
	printed, err := processtest.Command(env, "config", "print").CombinedOutput()
	if err != nil {
		t.Errorf("config print: %v", err)
	}
	_ = command.Process.Signal(syscall.SIGTERM)
	if err := command.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	if all := log.String() + string(printed) + metrics; strings.Contains(all, planted) {
		t.Errorf("a secret is printed:\n%s", all)
	}
	for _, line := range processtest.ParseLog(t, log.String(), s.Name) {
		if strings.Contains(line.Msg, "cannot be used") || strings.Contains(line.Error, "TLS with") || strings.Contains(line.Error, "SASL") {
			t.Errorf("%s: %s: %s", line.Level, line.Msg, line.Error)
		}
	}
}

func securedListeners(ca *testca.CA, sections []string) (env []string) {
	pair := ca.Issue("127.0.0.1")
	for _, section := range append(slices.Clone(sections), "ops") {
		prefix := strings.ToUpper(section) + "_TLS_"
		env = append(env, prefix+"CERT="+pair.Cert, prefix+"KEY="+pair.Key)
	}
	return append(env, "OPS_TLS_CLIENT_CA="+ca.File)
}

// securedRedis starts a Redis whose default user is off, and returns the settings of its client.
func securedRedis(t *testing.T, ca *testca.CA) []string {
	t.Helper()
	server, client := ca.Issue("127.0.0.1"), ca.Issue("client")
	secure := testenv.FreeAddr(t)
	_, port, _ := net.SplitHostPort(secure)
	testenv.StartRedis(t, "--tls-port", port, "--tls-cert-file", server.Cert, "--tls-key-file", server.Key, "--tls-ca-cert-file", ca.File,
		"--user", "app", "on", ">"+planted+"-redis", "~*", "&*", "+@all", "--user", "default", "off")
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(planted+"-redis\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{
		"REDIS_ADDR=" + secure, "REDIS_TLS=true", "REDIS_TLS_CA=" + ca.File, "REDIS_TLS_CERT=" + client.Cert, "REDIS_TLS_KEY=" + client.Key,
		"REDIS_USERNAME=app", "REDIS_PASSWORD_FILE=" + password, "REDIS_TIMEOUT=5s",
	}
}

func securedKafka(t *testing.T, ca *testca.CA, topics []string) []string {
	t.Helper()
	client := ca.Issue("client")
	broker := startKafka(t, kfake.SeedTopics(6, topics...), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", "app", planted+"-kafka"), kfake.TLS(&tls.Config{
		Certificates: []tls.Certificate{ca.Issue("127.0.0.1").TLS()}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(), MinVersion: tls.VersionTLS12,
	}))
	return []string{
		broker, "KAFKA_TLS=true", "KAFKA_TLS_CA=" + ca.File, "KAFKA_TLS_CERT=" + client.Cert, "KAFKA_TLS_KEY=" + client.Key,
		"KAFKA_SASL_MECHANISM=scram-sha-512", "KAFKA_SASL_USERNAME=app", "KAFKA_SASL_PASSWORD=" + planted + "-kafka",
	}
}
