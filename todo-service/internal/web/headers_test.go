package web_test

import (
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/otel/trace/noop"

	"example.com/todo/platform/httpserver"
)

func TestEveryDocumentHasTheSecurityHeaders(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' http://localhost:8081; " +
			"manifest-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; " +
			"require-trusted-types-for 'script'; trusted-types todo",
		"Cache-Control":                "private, no-store",
		"Content-Type":                 "text/html; charset=utf-8",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Referrer-Policy":              "same-origin",
		"X-Content-Type-Options":       "nosniff",
		"X-Frame-Options":              "DENY",
	}
	for name, state := range states(t) {
		for header, value := range want {
			if got := state.Header.Values(header); !slices.Equal(got, []string{value}) {
				t.Errorf("%s: %s is %q", name, header, got)
			}
		}
		policy := state.Header.Get("Permissions-Policy")
		if !regexp.MustCompile(`^([a-z-]+=\(\), )*[a-z-]+=\(\)$`).MatchString(policy) || !strings.Contains(policy, "camera=()") || !strings.Contains(policy, "geolocation=()") {
			t.Errorf("%s: Permissions-Policy is %q", name, policy)
		}
	}
}

func TestForeignHostIsRefused(t *testing.T) {
	t.Parallel()
	f := newFixture()
	for _, target := range []string{"/", "/assets/x/main.js"} {
		if got := f.request(http.MethodGet, target, "Host", "evil.example"); got.Status != http.StatusMisdirectedRequest {
			t.Errorf("%s: %d", target, got.Status)
		}
	}
	if got := f.post("/page/tasks", url.Values{"title": {"A"}, "priority": {"0"}}, "Host", "evil.example"); got.Status != http.StatusMisdirectedRequest {
		t.Errorf("a form: %d", got.Status)
	}
}

func TestDocumentIsCompressedUnlessItRepeatsTextOfItsAddress(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.create(t, "Learn Go", 0)
	plain := f.request(http.MethodGet, "/")
	packed := f.request(http.MethodGet, "/", "Accept-Encoding", "gzip, br")
	if packed.Header.Get("Content-Encoding") != "gzip" || packed.Header.Get("Vary") != "Accept-Encoding" {
		t.Fatalf("%v", packed.Header)
	}
	key := regexp.MustCompile(`name="key" value="[A-Z0-9]+"`)
	if got := unzip(t, packed.Body); key.ReplaceAllString(got, "") != key.ReplaceAllString(plain.Body, "") || !key.MatchString(got) {
		t.Error("the compressed document is another one")
	}
	for _, query := range []string{"q=go", "task=Learn", "task=5550199", "sort=-id&after=5550199"} {
		got := f.request(http.MethodGet, "/?"+query, "Accept-Encoding", "gzip")
		if got.Header.Get("Content-Encoding") != "" || !strings.Contains(got.Body, "Learn Go") && !strings.HasPrefix(query, "q=") {
			t.Errorf("%s: %d %v", query, got.Status, got.Header)
		}
	}
}

// The middleware adds Origin where pages of other origins may use the API.
func TestResponsesVaryByOriginToo(t *testing.T) {
	t.Parallel()
	f := newFixture()
	target := assetsOf(t, f) + "/main.js"
	cfg := httpserver.Defaults(":0")
	cfg.CORSOrigins = []string{"https://other.example"}
	f.Handler = httpserver.Instrument(f.Handler, cfg, httpserver.Telemetry{
		Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Tracer: noop.NewTracerProvider(),
	})
	for _, target := range []string{"/", target} {
		if got := strings.Join(f.request(http.MethodGet, target).Header.Values("Vary"), ", "); got != "Origin, Accept-Encoding" {
			t.Errorf("%s: Vary is %q", target, got)
		}
	}
}

func TestHeadHasTheHeadersOfGet(t *testing.T) {
	t.Parallel()
	f := newFixture()
	get, head := f.request(http.MethodGet, "/"), f.request(http.MethodHead, "/")
	for _, name := range []string{"Content-Type", "Content-Length", "Content-Security-Policy"} {
		if get.Header.Get(name) != head.Header.Get(name) || get.Header.Get(name) == "" {
			t.Errorf("%s is %q, and %q of HEAD", name, get.Header.Get(name), head.Header.Get(name))
		}
	}
}

func TestDocumentIsNotLimited(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.request(http.MethodGet, "/")
	f.request(http.MethodGet, "/?q=x")
	f.request(http.MethodGet, assetsOf(t, f)+"/main.js")
	if f.limited != 0 {
		t.Errorf("the limiter counted %d requests", f.limited)
	}
}

func TestRequestsAreCountedByRoute(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.request(http.MethodGet, "/?q=x")
	f.request(http.MethodGet, "/assets/x/main.js")
	f.post("/page/tasks/7/complete", nil)
	want := `
# HELP http_requests_total HTTP requests by route, method and status code.
# TYPE http_requests_total counter
http_requests_total{code="200",method="GET",route="GET /assets/{hash}/{name}"} 1
http_requests_total{code="200",method="GET",route="GET /{$}"} 1
http_requests_total{code="404",method="POST",route="POST /page/tasks/{id}/complete"} 1
`
	if err := testutil.GatherAndCompare(f.registry, strings.NewReader(want), "http_requests_total"); err != nil {
		t.Error(err)
	}
}

func TestOtherMethodsAreRefused(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		got := newFixture().request(method, "/")
		if got.Status != http.StatusMethodNotAllowed || got.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d, Allow %q", method, got.Status, got.Header.Get("Allow"))
		}
	}
}
