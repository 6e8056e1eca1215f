package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"example.com/todo/scripts/internal/port"
)

// secureContainers returns the system in containers if it has sign-in and TLS, and otherwise skips the test.
func secureContainers(t *testing.T) *composition {
	t.Helper()
	c := containers(t)
	if variant != "secure" {
		t.Skip("E2E_VARIANT=secure has sign-in and TLS")
	}
	return c
}

// process returns the folder of /proc about the first process of a container.
func (c *composition) process(t *testing.T, part string) string {
	t.Helper()
	if os.Geteuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("root alone can see the files and variables of containers")
	}
	return fmt.Sprintf("/proc/%d", c.inspect(t, part).State.Pid)
}

// secrets returns the folder of a container's secrets, as this host sees it.
func (c *composition) secrets(t *testing.T, part string) string {
	t.Helper()
	return filepath.Join(c.process(t, part), "root", "run", "secrets")
}

// secret returns a file with a secret of a container.
func (c *composition) secret(t *testing.T, part, name string) string {
	t.Helper()
	return read(t, filepath.Join(c.secrets(t, part), name))
}

// listener is a published port. plain connects to it without TLS, with the administrator's password if it needs one.
type listener struct {
	part  string
	plain func(ctx context.Context, addr string) error
}

var secureListeners = map[string]listener{
	"TODO_HTTP_PORT":        {"todo-service", overHTTP},
	"TODO_OPS_PORT":         {"todo-service", overHTTP},
	"NOTIFICATION_OPS_PORT": {"notification-service", overHTTP},
	"STATS_HTTP_PORT":       {"stats-service", overHTTP},
	"STATS_OPS_PORT":        {"stats-service", overHTTP},
	"TODO_GRPC_PORT":        {"todo-service", overGRPC},
	"REDIS_PORT":            {"redis", overRedis},
	"KAFKA_PORT":            {"kafka", overKafka},
}

func overHTTP(ctx context.Context, addr string) error {
	answer, err := try(ctx, http.DefaultClient, http.MethodGet, "http://"+addr+"/livez", "")
	if err == nil && answer.status >= http.StatusBadRequest {
		err = fmt.Errorf("status %d", answer.status)
	}
	return err
}

func overGRPC(ctx context.Context, addr string) error {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	return err
}

func overRedis(ctx context.Context, addr string) error {
	client := redis.NewClient(&redis.Options{Addr: addr, Username: "admin", Password: system.credential("REDIS_ADMIN_PASSWORD"), MaxRetries: -1})
	defer client.Close()
	return client.Ping(ctx).Err()
}

func overKafka(_ context.Context, addr string) error {
	client, err := kafkaAs(addr, nil, "admin", system.credential("KAFKA_ADMIN_PASSWORD"))
	if err != nil {
		return err
	}
	return client.Close()
}

func TestListenersShowACertificateOfTheAuthorityAndRefusePlaintext(t *testing.T) {
	c := secureContainers(t)
	protocols := []string{"h2", "http/1.1"}
	for variable, listener := range secureListeners {
		addr := port.Addr(c.ports[variable])
		for want, config := range map[string]*tls.Config{
			"":                               {RootCAs: system.tls.RootCAs, ServerName: listener.part, NextProtos: protocols},
			"signed by unknown authority":    {RootCAs: x509.NewCertPool(), ServerName: listener.part, NextProtos: protocols},
			"not elsewhere.example":          {RootCAs: system.tls.RootCAs, ServerName: "elsewhere.example", NextProtos: protocols},
			"protocol version not supported": {RootCAs: system.tls.RootCAs, ServerName: listener.part, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
		} {
			conn, err := tls.Dial("tcp", addr, config)
			if err == nil {
				_ = conn.Close()
			}
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the handshake: %v, want %q", variable, err, want)
			}
		}
		if err := listener.plain(t.Context(), addr); err == nil {
			t.Errorf("%s answers in plaintext", variable)
		}
	}

	dsn := system.credential("POSTGRES_OWNER_DSN")
	if err := execute(t, dsn, "SELECT 1"); err != nil {
		t.Errorf("PostgreSQL with a verified certificate: %v", err)
	}
	for _, want := range []struct{ from, to, problem string }{
		{"sslmode=verify-full", "sslmode=disable", "no encryption"},
		{"sslrootcert=" + system.credential("TLS_CA"), "", "unknown authority"},
	} {
		if err := execute(t, strings.Replace(dsn, want.from, want.to, 1), "SELECT 1"); err == nil || !strings.Contains(err.Error(), want.problem) {
			t.Errorf("PostgreSQL with %q instead of %q: %v, want %q", want.to, want.from, err, want.problem)
		}
	}
}

func TestMetricsDemandAClientCertificateAndProbesNone(t *testing.T) {
	c := secureContainers(t)
	for _, service := range services {
		// The service's own certificate is a server's, which is no client's.
		server, err := tls.LoadX509KeyPair(filepath.Join(c.secrets(t, service), "tls.crt"), filepath.Join(c.secrets(t, service), "tls.key"))
		if err != nil {
			t.Fatal(err)
		}
		base := "https://" + port.Addr(c.ports[strings.ToUpper(strings.TrimSuffix(service, "-service"))+"_OPS_PORT"])
		for name, tt := range map[string]struct {
			path         string
			certificates []tls.Certificate
			want         int // 0 for no answer
		}{
			"a probe":                           {"/readyz", nil, http.StatusOK},
			"metrics without a certificate":     {"/metrics", nil, http.StatusForbidden},
			"metrics with a client's":           {"/metrics", system.tls.Certificates, http.StatusOK},
			"metrics with a server's, rejected": {"/metrics", []tls.Certificate{server}, 0},
		} {
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: system.tls.RootCAs, Certificates: tt.certificates}}}
			answer, err := try(t.Context(), client, http.MethodGet, base+tt.path, "")
			if answer.status != tt.want {
				t.Errorf("%s, %s: status %d, %v, want %d", service, name, answer.status, err, tt.want)
			}
			client.CloseIdleConnections()
		}
	}
}

// ownSecrets are the files with secrets of each part, and the user that they belong to.
var ownSecrets = map[string]struct {
	user  uint32
	files []string
}{
	"postgres":             {999, []string{"ca.crt", "password", "tls.crt", "tls.key"}},
	"redis":                {999, []string{"ca.crt", "tls.crt", "tls.key", "users.acl"}},
	"kafka":                {1000, []string{"ca.crt", "jaas.conf", "tls.pem"}},
	"todo-service":         {65532, []string{"ca.crt", "kafka-password", "postgres-dsn", "redis-password", "tls.crt", "tls.key"}},
	"notification-service": {65532, []string{"ca.crt", "kafka-password", "redis-password", "tls.crt", "tls.key"}},
	"stats-service":        {65532, []string{"ca.crt", "kafka-password", "redis-password", "tls.crt", "tls.key"}},
}

func TestContainersHaveTheirOwnSecretsAlone(t *testing.T) {
	c := secureContainers(t)
	holders, environs := map[string]string{}, map[string]string{} // by the content of a file, and by part
	for _, part := range core {
		process := c.process(t, part)
		files, err := filepath.Glob(process + "/root/run/secrets/*")
		if err != nil {
			t.Fatal(err)
		}
		environs[part] = read(t, process+"/environ")
		var names []string
		for _, file := range files {
			name := filepath.Base(file)
			names = append(names, name)
			info, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			if owner := info.Sys().(*syscall.Stat_t).Uid; owner != ownSecrets[part].user || info.Mode() != 0o400 {
				t.Errorf("%s: %s has the mode %v and belongs to the user %d", part, name, info.Mode(), owner)
			}
			content := read(t, file)
			if holder, known := holders[content]; known && name != "ca.crt" {
				t.Errorf("%s of %s is in %s, too", name, part, holder)
			}
			holders[content] = part
		}
		if !slices.Equal(names, ownSecrets[part].files) {
			t.Errorf("%s has the secrets %v, want %v", part, names, ownSecrets[part].files)
		}
	}
	for part, environ := range environs {
		for content, holder := range holders {
			if strings.Contains(environ, content) {
				t.Errorf("a secret of %s is in the environment of %s", holder, part)
			}
		}
	}
}

// read returns the text of a file, without white space around it.
func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(content))
}

func TestRenewedCertificateIsInUseWithoutARestart(t *testing.T) {
	c := secureContainers(t)
	addr := port.Addr(c.ports["TODO_HTTP_PORT"])
	serial := func() (string, error) {
		conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: system.tls.RootCAs})
		if err != nil {
			return "", err
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String(), nil
	}
	issue := func() {
		t.Helper()
		if err := c.compose(t.Context(), "run", "--rm", "credentials"); err != nil {
			t.Fatal(err)
		}
	}
	before, err := serial()
	if err != nil {
		t.Fatal(err)
	}
	password := c.secret(t, "todo-service", "redis-password")
	issue() // nothing is due
	if unchanged := c.secret(t, "todo-service", "redis-password"); unchanged != password {
		t.Error("a later run changes passwords")
	}
	if now, err := serial(); err != nil || now != before {
		t.Errorf("a certificate that is not due was renewed: %s, %v", now, err)
	}

	// Without its copy in the authority a certificate is due.
	if err := c.compose(t.Context(), "run", "--rm", "--entrypoint", "rm", "credentials", "/authority/todo-service.crt"); err != nil {
		t.Fatal(err)
	}
	issue()
	eventually(t, time.Minute, func() error {
		now, err := serial()
		if err == nil && now == before {
			err = errors.New("the certificate is still the old one")
		}
		return err
	})
	if err := c.findCrash(t.Context(), "todo-service"); err != nil {
		t.Error(err)
	}
}
