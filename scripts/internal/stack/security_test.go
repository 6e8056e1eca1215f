package stack

import (
	"crypto/tls"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/scripts/internal/localca"
	"example.com/todo/scripts/internal/server"
)

// secrets returns the content of each file of secrets of a stack, by its name.
func secrets(t *testing.T, s Settings) map[string]string {
	t.Helper()
	found := map[string]string{}
	paths, err := filepath.Glob(filepath.Join(s.data(), "secrets", "*"))
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found[filepath.Base(path)] = strings.TrimSpace(string(content))
	}
	return found
}

func TestSecureStackKeepsItsSecrets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := startWith(t, Settings{Dir: dir, Secure: true})
	made := secrets(t, r.Settings)
	if len(made) != 12 {
		t.Errorf("the secrets are %v", made)
	}
	arguments := r.arguments(t)
	for name, secret := range made {
		for where, text := range map[string]string{"the console": r.said.String(), "the arguments of a process": arguments} {
			if strings.Contains(text, secret) {
				t.Errorf("%s is in %s", name, where)
			}
		}
	}
	err := filepath.WalkDir(r.data(), func(path string, entry fs.DirEntry, err error) error {
		private := strings.HasSuffix(path, ".key") || filepath.Base(filepath.Dir(path)) == "secrets" || filepath.Base(path) == "security.json"
		if err != nil || !private {
			return err
		}
		if info, err := entry.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	env, err := Env(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"SECURE": "1", "REDIS_ADMIN_USERNAME": "admin", "REDIS_ADMIN_PASSWORD": made["redis-admin"], "KAFKA_ADMIN_USERNAME": "admin",
		"KAFKA_ADMIN_PASSWORD": made["kafka-admin"], "POSTGRES_DSN": made["dsn-todo_service"], "POSTGRES_OWNER_DSN": made["dsn-todo_migrate"],
	}
	for name, value := range want {
		if env[name] != value {
			t.Errorf("stack.env has %s=%s, want %s", name, env[name], value)
		}
	}
	if _, err := tls.LoadX509KeyPair(env["TLS_CLIENT_CERT"], env["TLS_CLIENT_KEY"]); err != nil {
		t.Error(err)
	}
	r.stop()
	if err := r.wait(t); err != nil {
		t.Fatal(err)
	}

	r = startWith(t, Settings{Dir: dir, Secure: true})
	again := secrets(t, r.Settings)
	for name := range made {
		if strings.HasPrefix(name, "dsn-") { // has a port
			delete(made, name)
			delete(again, name)
		}
	}
	if diff := cmp.Diff(made, again); diff != "" {
		t.Errorf("secrets after a restart (-before +after):\n%s", diff)
	}
}

// arguments returns those of the parts and of their descendants.
func (r *run) arguments(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for name, pid := range r.pids(t) {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			t.Skip("no /proc:", name, err)
		}
		all.Write(line)
	}
	return all.String()
}

func TestSecureStackSpeaksTLSOnEveryPort(t *testing.T) {
	t.Parallel()
	r := startWith(t, Settings{Dir: t.TempDir(), Secure: true})
	pool, err := localca.Pool(filepath.Join(r.data(), "tls", "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range listeners {
		if l.variable == kafkaController || l.variable == postgresPort { // PostgreSQL's clients ask for TLS first
			continue
		}
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", r.Ports.Addr(l.variable), &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool})
		if err != nil {
			t.Errorf("%s: %v", l.variable, err)
			continue
		}
		conn.Close()
	}
	if response, err := http.Get("http://" + r.Ports.Addr("TODO_HTTP_PORT") + "/readyz"); err == nil {
		response.Body.Close()
		if response.StatusCode != http.StatusBadRequest {
			t.Errorf("a request in plain text is answered %s", response.Status)
		}
	}
}

func TestServicesOfASecureStackSignInAndReceiveTheirSecretsInFiles(t *testing.T) {
	t.Parallel()
	s := settings("AUTH_MODE=off", "AUTH_SIGNUP=closed", "POSTGRES_DSN=elsewhere", "REDIS_PASSWORD=x", "KAFKA_SASL_PASSWORD=x")
	s.Secure, s.Dir = true, t.TempDir()
	var err error
	if s.security, err = newSecurity("testdata/workspace", s.data()); err != nil {
		t.Fatal(err)
	}
	directory := s.security.secrets
	for _, name := range services {
		env := environ(t, s.service(name))
		want := map[string]string{
			"AUTH_MODE": "on", "AUTH_SIGNUP": "closed",
			"POSTGRES_DSN": "", "POSTGRES_DSN_FILE": directory + "/dsn-todo_service",
			"REDIS_USERNAME": name, "REDIS_PASSWORD": "", "REDIS_PASSWORD_FILE": directory + "/redis-" + name, "REDIS_TLS": "true",
			"KAFKA_SASL_USERNAME": name, "KAFKA_SASL_PASSWORD": "", "KAFKA_SASL_PASSWORD_FILE": directory + "/kafka-" + name, "KAFKA_TLS": "true",
			"KAFKA_SASL_MECHANISM": "scram-sha-512", "OPS_TLS_CLIENT_CA": s.security.files.CA, "HTTP_TLS_CERT": s.security.files.Server.Cert,
		}
		var names []string
		for variable := range want {
			names = append(names, variable)
		}
		if diff := cmp.Diff(want, lookup(env, names...)); diff != "" {
			t.Errorf("variables of %s (-want +got):\n%s", name, diff)
		}
		for _, entry := range env {
			if slices.ContainsFunc(append(s.security.redis.Users, s.security.kafka.Users...), func(a server.Account) bool { return strings.Contains(entry, a.Password) }) {
				t.Errorf("%s receives a password in %s", name, entry)
			}
		}
	}
}
