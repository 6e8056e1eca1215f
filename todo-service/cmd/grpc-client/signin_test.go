package main

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/grpcserver"
	"example.com/todo/platform/testenv/testca"
)

// The tests of sign-in set environment variables, so that they are not parallel.

// TestMain keeps the sessions of the developer out of the tests.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "grpc-client-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	for _, name := range configVariables {
		os.Setenv(name, dir)
	}
	os.Unsetenv(tokenVariable)
	m.Run()
}

// configVariables name the config folder on Linux and macOS.
var configVariables = []string{"XDG_CONFIG_HOME", "HOME"}

func useNewConfigFolder(t *testing.T) {
	t.Helper()
	for _, name := range configVariables {
		t.Setenv(name, t.TempDir())
	}
}

func plainServer(t *testing.T) *signInServer {
	t.Helper()
	s := serveWithSignIn(t, grpcserver.Defaults("127.0.0.1:0"))
	s.http.Start()
	return s
}

const (
	loginHint = "sign in with: grpc-client login --email E-MAIL"
	learnRow  = header + "1   Learn gRPC  0         no    2026-01-15T10:00:00Z  1\n"
)

func TestCommandsUseTheSessionFromLoginToLogout(t *testing.T) {
	s := plainServer(t)
	missing := result{Code: 1, Stderr: "grpc-client: cannot create the task: there is no valid session for " + s.addr + "; " + loginHint + "\n"}
	wantResult(t, missing, s.command(t, "create Learn_gRPC", ""))
	s.login(t)
	wantResult(t, result{Stdout: learnRow}, s.command(t, "create Learn_gRPC", ""))
	wantResult(t, result{Stdout: learnRow + "\n1 of 1 tasks\n"}, s.command(t, "list", ""))
	who := s.command(t, "whoami --output json", "")
	if !strings.HasPrefix(who.Stdout, `{"id":1,"email":"ann@example.com","role":"user","created_at":"`) || who.Code != 0 {
		t.Errorf("whoami: %+v", who)
	}
	wantResult(t, result{Stdout: "Signed out of " + s.addr + ".\n"}, s.command(t, "logout", ""))
	if s.count() != 0 {
		t.Errorf("%d sessions after logout", s.count())
	}
	wantResult(t, missing, s.command(t, "create Learn_gRPC", ""))
	wantResult(t, result{Code: 1, Stderr: "grpc-client: cannot sign out: you are not signed in to " + s.addr + "; " + loginHint + "\n"}, s.command(t, "logout", ""))
	wantResult(t, result{Code: 1, Stderr: "grpc-client: cannot show who is signed in: you are not signed in to " + s.addr + "; " + loginHint + "\n"}, s.command(t, "whoami", ""))
}

func TestAWatchSendsTheTokenAndExplainsItsEnd(t *testing.T) {
	s := plainServer(t)
	s.watcher.announcements = announcements()
	got := s.command(t, "watch", "")
	wantResult(t, result{Code: 1, Stderr: "grpc-client: cannot watch the tasks: there is no valid session for " + s.addr + "; " + loginHint + "\n"}, got)
	s.login(t)
	s.watcher.err = apperr.New(apperr.Unavailable, "the service stops")
	if got := s.command(t, "watch", ""); strings.Count(got.Stdout, "\n") != 2 {
		t.Errorf("%+v", got)
	}
}

func TestTheTokenIsInAFileThatOnlyTheUserCanReadAndInNoOutput(t *testing.T) {
	s := plainServer(t)
	for _, output := range []string{"table", "json"} {
		got := s.command(t, "login --email ann@example.com --output "+output+" --http-url "+s.http.URL, password)
		if got.Code != 0 || strings.Contains(got.Stdout+got.Stderr, s.last) {
			t.Errorf("%+v", got)
		}
	}
	path, err := sessionFile(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(path)
	for path, want := range map[string]os.FileMode{dir: os.ModeDir | 0o700, path: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
	content, err := os.ReadFile(path)
	if want := `{"token":"` + s.last + `","http_url":"` + s.http.URL + `"}`; err != nil || string(content) != want {
		t.Errorf("%s, %v", content, err)
	}
}

func TestLoginEndsTheSessionBeforeIt(t *testing.T) {
	s := plainServer(t)
	s.login(t)
	s.login(t)
	if s.count() != 1 {
		t.Errorf("%d sessions", s.count())
	}
}

func TestLoginEndsASessionThatItCannotKeep(t *testing.T) {
	s := plainServer(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range configVariables {
		t.Setenv(name, file)
	}
	got := s.command(t, "login --email ann@example.com --http-url "+s.http.URL, password)
	if got.Code != 1 || !strings.HasPrefix(got.Stderr, "grpc-client: cannot keep the session: ") || s.made != 1 || s.count() != 0 {
		t.Errorf("%+v, %d of %d sessions", got, s.count(), s.made)
	}
}

func TestALoginThatFailsKeepsTheSessionBeforeIt(t *testing.T) {
	s := plainServer(t)
	s.login(t)
	for _, test := range []struct{ args, input, stderr string }{
		{"--email ann@example.com", "a short-tailed tit", "cannot sign in: these credentials are not valid; correct the e-mail or the password\n"},
		{"--email bob@example.com", password, "cannot sign in: these credentials are not valid; correct the e-mail or the password\n"},
	} {
		wantResult(t, result{Code: 1, Stderr: "grpc-client: " + test.stderr}, s.command(t, "login --http-url "+s.http.URL+" "+test.args, test.input))
	}
	for _, test := range []struct{ args, input, stderr string }{
		{"", "", "--email is missing"},
		{"--email ann@example.com", "one\ntwo", "standard input must have one line, the password"},
		{"--email ann@example.com secret", "", "got 1 arguments, want grpc-client login [flags] (quote what has spaces)"},
	} {
		wantResult(t, result{Code: 2, Stderr: "grpc-client: " + test.stderr + "; see grpc-client --help\n"}, s.command(t, "login "+test.args, test.input))
	}
	if got := s.command(t, "list", ""); got.Code != 0 {
		t.Errorf("%+v", got)
	}
}

func TestLogoutForgetsATokenOnlyWhenItsSessionHasEnded(t *testing.T) {
	s := plainServer(t)
	s.login(t)
	away := s.command(t, "logout --http-url http://"+silentAddr(t)+" --timeout 50ms", "")
	if away.Code != 1 || !strings.HasPrefix(away.Stderr, "grpc-client: cannot sign out: no answer from http://") {
		t.Errorf("%+v", away)
	}
	if got := s.command(t, "list", ""); got.Code != 0 {
		t.Errorf("after a logout that failed: %+v", got)
	}
	_ = s.Revoke(t.Context(), 1, s.last)
	wantResult(t, result{Code: 1, Stderr: "grpc-client: cannot show who is signed in: the request has no valid session; sign in; " + loginHint + "\n"}, s.command(t, "whoami", ""))
	wantResult(t, result{Stdout: "Signed out of " + s.addr + ".\n"}, s.command(t, "logout", ""))
}

func TestATokenInTheEnvironmentHasPrecedence(t *testing.T) {
	s := plainServer(t)
	s.login(t)
	kept := s.last
	s.login(t)
	t.Setenv(tokenVariable, kept) // ended by the second login
	wantResult(t, result{Code: 1, Stderr: "grpc-client: cannot list the tasks: there is no valid session for " + s.addr + "; unset TODO_TOKEN, and " + loginHint + "\n"},
		s.command(t, "list", ""))
	wantResult(t, result{Code: 2, Stderr: "grpc-client: TODO_TOKEN is set and has precedence over what login keeps: unset it; see grpc-client --help\n"},
		s.command(t, "login --email ann@example.com", password))
	t.Setenv(tokenVariable, "line\nend")
	wantResult(t, result{Code: 2, Stderr: "grpc-client: TODO_TOKEN must be visible ASCII characters; see grpc-client --help\n"}, s.command(t, "list", ""))

	t.Setenv(tokenVariable, s.last)
	wantResult(t, result{Stdout: "Signed out of " + s.addr + ".\n"}, s.command(t, "logout --http-url "+s.http.URL, ""))
	if s.count() != 0 {
		t.Errorf("%d sessions", s.count())
	}
}

func TestADamagedFileIsNamedAndReplacedByLogin(t *testing.T) {
	s := plainServer(t)
	s.login(t)
	path, err := sessionFile(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(`{"token":"secret`), 0o600); err != nil {
		t.Fatal(err)
	}
	wantResult(t, result{Code: 1, Stderr: "grpc-client: " + path + " has no session that can be read: delete it, and " + loginHint + "\n"}, s.command(t, "list", ""))
	s.login(t)
	if got := s.command(t, "list", ""); got.Code != 0 {
		t.Errorf("%+v", got)
	}
}

func TestSecretsGoToOtherMachinesByTLSOnly(t *testing.T) {
	useNewConfigFolder(t)
	const refusal = "grpc-client: example.com is another machine, and without TLS everyone on the way can read passwords and tokens: use TLS, or --allow-plaintext; see grpc-client --help\n"
	run := func(line string) result { return runWithInput(t.Context(), password, strings.Fields(line)...) }
	wantResult(t, result{Code: 2, Stderr: refusal}, run("login --email ann@example.com --http-url http://example.com"))
	t.Setenv(tokenVariable, "secret")
	for _, line := range []string{"list --addr example.com:1", "watch --addr example.com:1", "whoami --http-url http://example.com:1", "logout --http-url http://example.com:1"} {
		wantResult(t, result{Code: 2, Stderr: refusal}, run(line))
	}
	for _, line := range []string{"list --addr example.invalid:1 --allow-plaintext --timeout 100ms", "list --addr example.invalid:1 --tls --timeout 100ms"} {
		if got := run(line); got.Code != 1 {
			t.Errorf("%s: %+v", line, got)
		}
	}
}

func TestCommandsSpeakTLSWithAClientCertificate(t *testing.T) {
	ca := testca.New(t)
	server, client := ca.Issue("localhost"), ca.Issue("ann")
	cfg := grpcserver.Defaults("127.0.0.1:0")
	cfg.TLSCert, cfg.TLSKey, cfg.TLSClientCA = server.Cert, server.Key, ca.File
	s := serveWithSignIn(t, cfg)
	s.http.TLS = &tls.Config{Certificates: []tls.Certificate{server.TLS()}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool()}
	s.http.StartTLS()
	s.addr = strings.Replace(s.addr, "127.0.0.1", "localhost", 1)
	url := strings.Replace(s.http.URL, "127.0.0.1", "localhost", 1)
	flags := " --ca " + ca.File + " --cert " + client.Cert + " --key " + client.Key
	if got := s.command(t, "login --email ann@example.com --http-url "+url+flags, password); got.Code != 0 {
		t.Fatalf("%+v", got)
	}
	for _, line := range []string{"create Learn_gRPC", "whoami"} {
		if got := s.command(t, line+flags, ""); got.Code != 0 {
			t.Errorf("%s: %+v", line, got)
		}
	}
	for line, stderr := range map[string]string{
		"list --tls":                      "grpc-client: cannot list the tasks: " + s.addr + " is not trusted (tls: failed to verify certificate: x509: certificate signed by unknown authority); check --ca, --cert and --addr\n",
		"whoami --tls":                    "grpc-client: cannot show who is signed in: " + url + " is not trusted (tls: failed to verify certificate: x509: certificate signed by unknown authority); check --ca and --http-url\n",
		"list --ca nowhere.pem":           "grpc-client: --ca: open nowhere.pem: no such file or directory; see grpc-client --help\n",
		"list --ca " + server.Key:         "grpc-client: --ca: " + server.Key + " has no certificate in PEM; see grpc-client --help\n",
		"list --tls --cert " + server.Key: "grpc-client: --cert and --key need each other; see grpc-client --help\n",
	} {
		if got := s.command(t, line, ""); got.Stderr != stderr {
			t.Errorf("%s: %+v, want %s", line, got, stderr)
		}
	}
}

func TestResponsesOfOtherHTTPServersAreExplained(t *testing.T) {
	useNewConfigFolder(t)
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/redirect/sessions":
			http.Redirect(w, r, "/stolen", http.StatusTemporaryRedirect)
		case "/stolen":
			body = "stolen"
		case "/page/sessions":
			_, _ = w.Write([]byte("<html>"))
		case "/limited/sessions":
			w.Header().Set("Retry-After", "12")
			w.WriteHeader(http.StatusTooManyRequests)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	for path, why := range map[string]string{
		"/redirect": "307 Temporary Redirect; name the address that it redirects to with --http-url",
		"/page":     "the response is not that of todo-service; check --http-url",
		"/limited":  "429 Too Many Requests; try again in 12s",
		"/other":    "404 Not Found; start todo-service with AUTH_MODE=on, or check --http-url",
	} {
		got := runWithInput(t.Context(), password, "login", "--email", "ann@example.com", "--http-url", server.URL+path)
		wantResult(t, result{Code: 1, Stderr: "grpc-client: cannot sign in: " + why + "\n"}, got)
	}
	if body != "" {
		t.Error("the password followed a redirect")
	}
}
