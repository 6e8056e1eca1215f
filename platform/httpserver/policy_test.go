package httpserver_test

import (
	"bufio"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/todo/platform/config"
	"example.com/todo/platform/httpserver"
)

// startRestricted starts a server that answers 200 to each request that the policy allows.
func startRestricted(t *testing.T, o *telemetryRecorder, cfg httpserver.Config) (addr string) {
	t.Helper()
	srv, stop, ended := start(t, cfg, httpserver.Instrument(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/broken" {
			httpserver.WriteProblem(w, r, httpserver.StatusError(http.StatusConflict, "broken"))
			return
		}
		io.WriteString(w, "served")
	}), cfg, o.telemetry()))
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return srv.Addr()
}

// sendRaw sends the literal head of a request and returns the response.
func sendRaw(t *testing.T, addr, head string) *httptest.ResponseRecorder {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	io.WriteString(conn, head+"Connection: close\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	recorded := httptest.NewRecorder()
	maps.Copy(recorded.Header(), resp.Header)
	recorded.WriteHeader(resp.StatusCode)
	if _, err := io.Copy(recorded, resp.Body); err != nil {
		t.Fatal(err)
	}
	return recorded
}

// hostCases are values of Host and whether they are allowed.
var hostCases = map[string]bool{
	"127.0.0.1": true, "127.0.0.1:8080": true, "192.0.2.7": true, "127.0.0.1.": true, "0.0.0.0": true,
	"[::1]": true, "[::1]:8080": true, "[2001:DB8::7]": true, "[fe80::1%25eth0]:80": true, "[::ffff:192.0.2.7]": true,
	"localhost": true, "localhost:8080": true, "LOCALHOST": true, "localhost.": true, "localhost.:8080": true, "localhost:": true,
	"app.localhost": true, "a.b.LocalHost.": true,
	"todo-service": true, "todo_service:8080": true, "x": true,
	"todo.default.svc": true, "todo.default.svc.cluster.local": true, "todo.default.svc.cluster.local.:8080": true,
	"todo.example.com": true, "TODO.Example.COM": true, "todo.example.com.": true, "todo.example.com:443": true,
	"listed.example.com": true,

	"evil.example": false, "evil.example:8080": false, "evil.example.": false, "sub.todo.example.com": false,
	"todo.example.com.evil.example": false, "example.com": false, "localhost.evil.example": false, "127.0.0.1.evil.example": false,
	"localhost..": false, ".localhost": false, "a..localhost": false, ".": false, "..": false, ".svc": false, "evil.svc.cluster.local.evil": false,
	"cluster.local": false, "evillocalhost.com": false, "evil.notsvc": false, "evil.notlocalhost": false, "127.1": false, "0x7f.0.0.1": false, "::1": false, "::1:8080": false,
	"[::1": false, "::1]": false, "[127.0.0.1]": false, "[localhost]": false, "[::1].": false, "[::1]evil.example": false, "[]": false,
	"localhost@evil.example": false, "evil.example@localhost": false, "user:1@localhost": false, "localhost:80@evil.example": false,
	"localhost:8080:8080": false, "localhost:x": false, "localhost:-1": false, "local%68ost": false, "*": false, "*.localhost": false,
	"evil.example#localhost": false, "localhost,evil.example": false, "xn--80ak6aa92e.com": false, "": false,
}

func TestHostIsServedOnlyWhenThePolicyAllowsIt(t *testing.T) {
	t.Parallel()
	o := newTelemetryRecorder()
	cfg := httpserver.Defaults("127.0.0.1:0")
	cfg.AllowedHosts = []string{"todo.example.com", "Listed.example.com."}
	addr := startRestricted(t, o, cfg)
	for host, want := range hostCases {
		heads := map[string]string{"Host": "GET / HTTP/1.1\r\nHost: " + host + "\r\n"}
		if host != "" && !strings.ContainsAny(host, "#%*,") && host[0] != ':' {
			// The authority of an absolute URI wins over the header.
			heads["absolute form"] = "GET http://" + host + "/ HTTP/1.1\r\nHost: localhost\r\n"
		}
		for form, head := range heads {
			got := sendRaw(t, addr, head).Code
			served := got == http.StatusOK
			if served != want || !served && got != http.StatusMisdirectedRequest && got != http.StatusBadRequest {
				t.Errorf("%s of %q: %d", form, host, got)
			}
		}
	}
}

func TestRequestWithoutAHostIsRejected(t *testing.T) {
	t.Parallel()
	addr := startRestricted(t, newTelemetryRecorder(), httpserver.Defaults("127.0.0.1:0"))
	for head, want := range map[string]int{
		"GET / HTTP/1.0\r\n": http.StatusMisdirectedRequest,
		"GET / HTTP/1.1\r\n": http.StatusBadRequest,
		"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n": http.StatusBadRequest,
		"OPTIONS * HTTP/1.1\r\nHost: evil.example\r\n":                http.StatusMisdirectedRequest,
		"GET / HTTP/1.0\r\nHost: localhost\r\n":                       http.StatusOK,
	} {
		if got := sendRaw(t, addr, head).Code; got != want {
			t.Errorf("%q: %d, want %d", head, got, want)
		}
	}
}

func TestRejectedHostIsAnswered421AndLoggedWithTheSetting(t *testing.T) {
	t.Parallel()
	o := newTelemetryRecorder()
	addr := startRestricted(t, o, httpserver.Defaults("127.0.0.1:0"))
	resp := sendRaw(t, addr, "GET /tasks HTTP/1.1\r\nHost: evil.example:8080\r\n")
	var problem struct {
		Status    int
		Error     string
		RequestID string `json:"request_id"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&problem); err != nil {
		t.Fatal(err)
	}
	if resp.Code != http.StatusMisdirectedRequest || problem.Status != http.StatusMisdirectedRequest || resp.Header().Get("Content-Type") != "application/problem+json" ||
		problem.RequestID == "" || problem.RequestID != resp.Header().Get("X-Request-Id") || strings.Contains(problem.Error, "allowed_hosts") {
		t.Errorf("%d %v: %+v", resp.Code, resp.Header(), problem)
	}
	lines := o.lines(t, "HTTP request")
	if len(lines) != 1 || lines[0]["status"] != 421.0 || !strings.Contains(lines[0]["error"].(string), `"evil.example:8080"`) || !strings.Contains(lines[0]["error"].(string), "allowed_hosts") {
		t.Errorf("logged %v", lines)
	}
}

// crossOriginRequest sends a request with the header Origin, unless origin is "".
func crossOriginRequest(addr, method, path, origin string, header ...string) (status int, received http.Header) {
	r := httptest.NewRequest(method, "http://"+addr+path, nil)
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	r.RequestURI = ""
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		panic(err)
	}
	resp.Body.Close()
	return resp.StatusCode, resp.Header
}

const app, foreign = "https://app.example.com", "https://evil.example"

func TestCrossOriginResponseIsReadableOnlyForListedOrigins(t *testing.T) {
	t.Parallel()
	cfg := httpserver.Defaults("127.0.0.1:0")
	addr := startRestricted(t, newTelemetryRecorder(), cfg)
	cfg.CORSOrigins = []string{app, "http://localhost:3000"}
	listing := startRestricted(t, newTelemetryRecorder(), cfg)
	cfg.CORSOrigins = []string{"*"}
	open := startRestricted(t, newTelemetryRecorder(), cfg)
	for name, c := range map[string]struct{ addr, origin, allowed string }{
		"none are listed":           {addr, app, ""},
		"a listed one":              {listing, app, app},
		"the other listed one":      {listing, "http://localhost:3000", "http://localhost:3000"},
		"another port":              {listing, "http://localhost:3001", ""},
		"another scheme":            {listing, "http://app.example.com", ""},
		"a longer name":             {listing, app + ".evil.example", ""},
		"one that is not listed":    {listing, foreign, ""},
		"an opaque origin":          {listing, "null", ""},
		"no origin":                 {listing, "", ""},
		"any, where all are listed": {open, foreign, "*"},
	} {
		for _, path := range []string{"/", "/broken"} {
			_, received := crossOriginRequest(c.addr, http.MethodGet, path, c.origin)
			if got := received.Get("Access-Control-Allow-Origin"); got != c.allowed {
				t.Errorf("%s: %s may be read by %q, want %q", name, path, got, c.allowed)
			}
			if got := slices.Contains(received.Values("Vary"), "Origin"); got != (c.addr != addr) {
				t.Errorf("%s: %s has Vary %q", name, path, received.Values("Vary"))
			}
			if received.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s: %s may be read with credentials", name, path)
			}
		}
		status, preflight := crossOriginRequest(c.addr, http.MethodOptions, "/", c.origin, "Access-Control-Request-Method", "PATCH", "Access-Control-Request-Headers", "content-type,if-match")
		if got := preflight.Get("Access-Control-Allow-Origin"); got != c.allowed {
			t.Errorf("%s: the preflight allows %q, want %q", name, got, c.allowed)
		}
		if c.allowed != "" && (status != http.StatusNoContent || preflight.Get("Access-Control-Allow-Methods") != "PATCH" || preflight.Get("Access-Control-Max-Age") != "600") {
			t.Errorf("%s: the preflight is answered %d %v", name, status, preflight)
		}
	}
}

func TestPreflightAllowsTheMethodsAndHeadersOfTheAPI(t *testing.T) {
	t.Parallel()
	cfg := httpserver.Defaults("127.0.0.1:0")
	cfg.CORSOrigins = []string{app}
	addr := startRestricted(t, newTelemetryRecorder(), cfg)
	for _, c := range []struct {
		method, header string
		allowed        bool
	}{
		{"POST", "content-type,idempotency-key", true}, {"PATCH", "content-type,if-match", true}, {"DELETE", "if-match,traceparent", true},
		{"GET", "if-none-match,last-event-id,x-request-id", true}, {"GET", "", true},
		{"GET", "x-forwarded-for", false}, {"CONNECT", "", false}, {"POST", "content-type,cookie", false},
	} {
		header := []string{"Access-Control-Request-Method", c.method}
		if c.header != "" {
			header = append(header, "Access-Control-Request-Headers", strings.Join(slices.Sorted(slices.Values(strings.Split(c.header, ","))), ","))
		}
		_, received := crossOriginRequest(addr, http.MethodOptions, "/", app, header...)
		if got := received.Get("Access-Control-Allow-Origin") != ""; got != c.allowed {
			t.Errorf("%s with %q: allowed is %t", c.method, c.header, got)
		}
		if vary := strings.Join(received.Values("Vary"), ", "); vary != "Origin, Access-Control-Request-Method, Access-Control-Request-Headers" {
			t.Errorf("the preflight varies by %s", vary)
		}
	}
	_, received := crossOriginRequest(addr, http.MethodGet, "/", app)
	exposed := strings.Split(received.Get("Access-Control-Expose-Headers"), ", ")
	for _, name := range []string{"ETag", "Link", "Location", "Retry-After", "RateLimit", "RateLimit-Policy", "Cache-Status", "X-Request-Id"} {
		if !slices.ContainsFunc(exposed, func(e string) bool { return strings.EqualFold(e, name) }) {
			t.Errorf("%s cannot be read by a page: %v", name, exposed)
		}
	}
}

// A page that uses DNS rebinding has its own name in Host.
func TestListedOriginsMaySendCredentialsWhereTheServiceAllowsThem(t *testing.T) {
	t.Parallel()
	cfg := httpserver.Defaults("127.0.0.1:0")
	cfg.CORSOrigins, cfg.AllowCredentials = []string{app}, true
	addr := startRestricted(t, newTelemetryRecorder(), cfg)
	for origin, allowed := range map[string]string{app: "true", foreign: "", "null": "", "": ""} {
		_, received := crossOriginRequest(addr, http.MethodGet, "/", origin)
		_, preflight := crossOriginRequest(addr, http.MethodOptions, "/", origin, "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization")
		for what, header := range map[string]http.Header{"the response": received, "the preflight": preflight} {
			if got := header.Get("Access-Control-Allow-Credentials"); got != allowed {
				t.Errorf("%s to %q: Access-Control-Allow-Credentials %q, want %q", what, origin, got, allowed)
			}
		}
		if got := preflight.Get("Access-Control-Allow-Headers"); (got == "authorization") != (allowed != "") {
			t.Errorf("the preflight of %q: Access-Control-Allow-Headers %q", origin, got)
		}
	}
}

func TestPreflightForAnotherHostIsRejected(t *testing.T) {
	t.Parallel()
	cfg := httpserver.Defaults("127.0.0.1:0")
	cfg.CORSOrigins = []string{"*"}
	addr := startRestricted(t, newTelemetryRecorder(), cfg)
	resp := sendRaw(t, addr, "OPTIONS / HTTP/1.1\r\nHost: evil.example\r\nOrigin: "+foreign+"\r\nAccess-Control-Request-Method: GET\r\n")
	if resp.Code != http.StatusMisdirectedRequest || resp.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%d %v", resp.Code, resp.Header())
	}
}

func TestConfigRejectsHostsAndOriginsThatNoRequestCanHave(t *testing.T) {
	t.Parallel()
	for setting, good := range map[string]bool{
		"HTTP_ALLOWED_HOSTS=todo.example.com, b.example.com.": true, "HTTP_ALLOWED_HOSTS=2001:db8::1": true, "HTTP_ALLOWED_HOSTS=": true,
		"HTTP_ALLOWED_HOSTS=*": false, "HTTP_ALLOWED_HOSTS=*.example.com": false, "HTTP_ALLOWED_HOSTS=todo.example.com:443": false,
		"HTTP_ALLOWED_HOSTS=http://todo.example.com": false, "HTTP_ALLOWED_HOSTS=bücher.example": false, "HTTP_ALLOWED_HOSTS=a..b": false,
		"HTTP_CORS_ORIGINS=https://app.example.com,http://localhost:3000": true, "HTTP_CORS_ORIGINS=*": true, "HTTP_CORS_ORIGINS=http://[::1]:3000": true,
		"HTTP_CORS_ORIGINS=https://App.example.com": true, "HTTP_CORS_ORIGINS=": true,
		"HTTP_CORS_ORIGINS=https://app.example.com/": false, "HTTP_CORS_ORIGINS=app.example.com": false, "HTTP_CORS_ORIGINS=https://*.example.com": false,
		"HTTP_CORS_ORIGINS=https://app.example.com:80": true, "HTTP_CORS_ORIGINS=https://app.example.com:443": false, "HTTP_CORS_ORIGINS=http://app.example.com:80": false,
		"HTTP_CORS_ORIGINS=null": false, "HTTP_CORS_ORIGINS=ftp://app.example.com": false, "HTTP_CORS_ORIGINS=https://u@app.example.com": false,
		"HTTP_CORS_ORIGINS=*,https://app.example.com": false, "HTTP_CORS_ORIGINS=https://": false, "HTTP_CORS_ORIGINS=https://a.example?x": false,
	} {
		cfg := struct {
			HTTP httpserver.Config `config:"http"`
		}{httpserver.Defaults(":8080")}
		if err := config.Load(&cfg, "", []string{setting}); (err == nil) != good {
			t.Errorf("%s: %v", setting, err)
		}
	}
}

func TestDefaultIdleTimeoutIsLongerThanThatOfLoadBalancers(t *testing.T) {
	t.Parallel()
	if got := httpserver.Defaults(":0").IdleTimeout; got != 75*time.Second {
		t.Errorf("idle connections are kept for %v", got)
	}
}
