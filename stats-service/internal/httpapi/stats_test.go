package httpapi_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"

	"example.com/todo/contracts/openapi"
	"example.com/todo/platform/apperr"
	"example.com/todo/platform/httpserver"
	"example.com/todo/platform/openapitest"
	"example.com/todo/stats-service/internal/httpapi"
	"example.com/todo/stats-service/internal/stats"
)

// fakeReporter returns a fixed report, the domain's error for invalid days, or err.
type fakeReporter struct {
	days int
	user string // of ReportUser
	lag  *int64
	err  error
}

func (r *fakeReporter) Report(_ context.Context, days int) (stats.Report, error) {
	r.days = days
	if days < 1 || days > stats.MaxDays {
		return stats.Report{}, stats.InvalidDays()
	}
	return stats.Report{
		CompletedTotal: 42,
		CompletedToday: 3,
		ByDay:          []stats.Day{{Day: "2024-01-14", Completed: 0}, {Day: "2024-01-15", Completed: 3}},
		AsOf:           time.Date(2024, 1, 15, 10, 0, 0, 0, time.UTC),
		Lag:            r.lag,
		Complete:       r.lag != nil,
	}, r.err
}

func (r *fakeReporter) ReportUser(ctx context.Context, user string, days int) (stats.Report, error) {
	r.user = user
	return r.Report(ctx, days)
}

func request(t *testing.T, r *fakeReporter, method, target string) *httptest.ResponseRecorder {
	t.Helper()
	return serve(t, r, httptest.NewRequestWithContext(t.Context(), method, target, nil))
}

// serve returns the response of the API with its middleware. It panics when the response
// is not as documented.
func serve(t *testing.T, r *fakeReporter, request *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	return serveWith(t, httpapi.Config{Reporter: r}, request)
}

func serveWith(t *testing.T, api httpapi.Config, request *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	document, err := openapitest.Parse(openapi.Stats)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	cfg := httpserver.Defaults(":0")
	cfg.AllowedHosts, cfg.CORSOrigins = []string{"example.com"}, []string{"https://app.example.com"} // the host of httptest
	telemetry := httpserver.Telemetry{Log: log, Registry: prometheus.NewRegistry(), Tracer: noop.NewTracerProvider()}
	cfg.AllowCredentials = api.Credentials != nil
	api.Log = log
	handler := document.Handler(httpserver.Instrument(httpapi.New(api), cfg, telemetry))
	response := httptest.NewRecorder()
	request.Header.Set("X-Request-Id", "t")
	handler.ServeHTTP(response, request)
	return response
}

func TestAPIReturnsTheReportByteForByte(t *testing.T) {
	t.Parallel()
	seven := int64(7)
	tests := map[string]struct {
		lag  *int64
		want string
	}{
		"a known lag":   {&seven, `{"completed_total":42,"completed_today":3,"by_day":[{"day":"2024-01-14","completed":0},{"day":"2024-01-15","completed":3}],"as_of":"2024-01-15T10:00:00Z","lag":7,"complete":true,"rebuilding":false}`},
		"Kafka is down": {nil, `{"completed_total":42,"completed_today":3,"by_day":[{"day":"2024-01-14","completed":0},{"day":"2024-01-15","completed":3}],"as_of":"2024-01-15T10:00:00Z","lag":null,"complete":false,"rebuilding":false}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			response := request(t, &fakeReporter{lag: test.lag}, http.MethodGet, "/stats")
			if diff := cmp.Diff(test.want+"\n", response.Body.String()); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			if got := response.Header().Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type %q", got)
			}
		})
	}
}

func TestAPIServesItsDocumentUnchanged(t *testing.T) {
	t.Parallel()
	response := request(t, &fakeReporter{}, http.MethodGet, "/openapi.yaml")
	if response.Code != http.StatusOK || response.Body.String() != openapi.Stats {
		t.Errorf("status %d, %d bytes", response.Code, response.Body.Len())
	}
}

func TestDaysDefaultToThirty(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]int{"/stats": 30, "/stats?days=1": 1, "/stats?days=366": 366, "/stats?other=x": 30} {
		r := &fakeReporter{}
		if response := request(t, r, http.MethodGet, target); response.Code != http.StatusOK || r.days != want {
			t.Errorf("%s: status %d, %d days; want 200, %d", target, response.Code, r.days, want)
		}
	}
}

func TestEveryErrorIsAProblemDocument(t *testing.T) {
	t.Parallel()
	down := apperr.New(apperr.Unavailable, "the statistics cannot be read at present").WithCause(errors.New("dial tcp 10.0.0.7:6379"))
	down.RetryAfter = time.Second
	const invalid = `"status":422,"detail":"days must be a number from 1 to 366","error":"days must be a number from 1 to 366","request_id":"t","errors":[{"name":"days","problem":"must be a number from 1 to 366"}]`
	tests := map[string]struct {
		method, target string
		err            error
		status         int
		holds          string // part of the body
		header, value  string
	}{
		"no day":             {"GET", "/stats?days=0", nil, 422, invalid, "", ""},
		"negative":           {"GET", "/stats?days=-1", nil, 422, invalid, "", ""},
		"too many":           {"GET", "/stats?days=367", nil, 422, invalid, "", ""},
		"beyond all numbers": {"GET", "/stats?days=99999999999999999999", nil, 422, invalid, "", ""},
		"not a number":       {"GET", "/stats?days=ten", nil, 422, invalid, "", ""},
		"empty":              {"GET", "/stats?days=", nil, 422, invalid, "", ""},
		"a fraction":         {"GET", "/stats?days=1.5", nil, 422, invalid, "", ""},
		"twice":              {"GET", "/stats?days=1&days=2", nil, 422, invalid, "", ""},
		"a broken query":     {"GET", "/stats?days=%zz", nil, 400, `"status":400`, "", ""},
		"another scope":      {"GET", "/stats?scope=mine", nil, 422, `"name":"scope"`, "", ""},
		"unknown route":      {"GET", "/tasks", nil, 404, `"status":404`, "", ""},
		"the root":           {"GET", "/", nil, 404, `"status":404`, "", ""},
		"a wrong method":     {"POST", "/stats", nil, 405, `"status":405`, "Allow", "GET, HEAD"},
		"Redis is down":      {"GET", "/stats", down, 503, `"error":"the statistics cannot be read at present"`, "Retry-After", "1"},
		"a defect":           {"GET", "/stats", errors.New("EVALSHA at 10.0.0.7"), 500, `"status":500`, "", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			response := request(t, &fakeReporter{err: test.err}, test.method, test.target)
			body := response.Body.String()
			if response.Code != test.status || !strings.Contains(body, test.holds) {
				t.Errorf("status %d, body %s; want %d and %s", response.Code, body, test.status, test.holds)
			}
			if got := response.Header().Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("Content-Type %q", got)
			}
			if got := response.Header().Get(test.header); got != test.value {
				t.Errorf("%s %q, want %q", test.header, got, test.value)
			}
			if strings.Contains(body, "10.0.0.7") {
				t.Errorf("the body contains internals: %s", body)
			}
		})
	}
}

func TestAPIRejectsUnknownHostsAndAllowsListedOrigins(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/stats", "/openapi.yaml"} {
		for host, want := range map[string]int{"evil.example": http.StatusMisdirectedRequest, "localhost:8081": http.StatusOK, "example.com.": http.StatusOK} {
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
			request.Host = host
			request.Header.Set("Origin", "https://app.example.com")
			response := serve(t, &fakeReporter{}, request)
			if response.Code != want {
				t.Errorf("%s as %s: %d, want %d", target, host, response.Code, want)
			}
			if want == http.StatusOK && (response.Header().Get("Access-Control-Allow-Origin") != "https://app.example.com" || response.Header().Get("Vary") != "Origin") {
				t.Errorf("%s as %s: %v", target, host, response.Header())
			}
		}
	}
}
