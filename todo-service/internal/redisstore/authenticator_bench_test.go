package redisstore_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"

	"example.com/todo/platform/httpserver"
	"example.com/todo/platform/session"
	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/listcache"
	"example.com/todo/todo-service/internal/redisstore"
	"example.com/todo/todo-service/internal/task"
)

// BenchmarkSessionCheck measures a request for the cached list over HTTP, without sign-in
// and with the check of a session, and the share of Redis in both. They alternate. It
// reports the medians, and the ratio of the requests.
func BenchmarkSessionCheck(b *testing.B) {
	s := open(b, testenv.RequireEnv(b, "TEST_REDIS_ADDR"))
	log, limit := s.log(), redisstore.LimiterConfig{Requests: 1_000_000_000, Window: time.Second}
	lists := redisstore.NewListCache(s.pipeline, s.prefix, log, nil)
	cfg := redisstore.AuthenticatorConfig{
		Pipeline: s.pipeline, Lists: lists, Log: log, Registry: prometheus.NewRegistry(),
		Limiter: redisstore.NewLimiter(s.pipeline, s.prefix, limit, log, nil),
	}
	off := redisstore.NewAuthenticator(cfg)
	sessionCfg := session.Defaults()
	sessionCfg.KeyPrefix = s.prefix
	cfg.Sessions, cfg.Registry = session.NewStore(s, sessionCfg), nil
	on := redisstore.NewAuthenticator(cfg)
	token, _, err := cfg.Sessions.Create(b.Context(), session.User{ID: 7, Role: "user"})
	if err != nil {
		b.Fatal(err)
	}

	body := []byte(strings.Repeat("x", 12_000)) // some 100 tasks
	query := func(context.Context) (listcache.Entry, error) { return listcache.Entry{Body: body, ETag: "x"}, nil }
	var inRedis time.Duration
	handler := func(a *redisstore.Authenticator) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			began := time.Now()
			ctx, _, err := a.Authenticate(r.Context(), redisstore.AuthRequest{Token: r.Header.Get("Authorization"), Client: addr, List: true})
			if err != nil {
				b.Error(err)
			}
			list, err := lists.Load(ctx, task.Owner(session.UserFrom(ctx).ID), query)
			if err != nil {
				b.Error(err)
			}
			inRedis = time.Since(began)
			_, _ = w.Write(list.Body)
		}
	}
	mux := http.NewServeMux()
	mux.Handle("GET /without", handler(off))
	mux.Handle("GET /with", handler(on))
	telemetry := httpserver.Telemetry{Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Tracer: noop.NewTracerProvider()}
	server := httptest.NewServer(httpserver.Instrument(httpserver.Routes(mux), httpserver.Defaults(":0"), telemetry))
	defer server.Close()
	took := map[string][]time.Duration{}
	get := func(path string) {
		began := time.Now()
		request, _ := http.NewRequestWithContext(b.Context(), http.MethodGet, server.URL+path, nil)
		request.Header.Set("Authorization", token)
		response, err := server.Client().Do(request)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		took[path] = append(took[path], time.Since(began))
		took[path+" in Redis"] = append(took[path+" in Redis"], inRedis)
	}
	for range 100 {
		get("/without")
		get("/with")
	}
	for b.Loop() {
		get("/without")
		get("/with")
	}
	median := func(what string) float64 {
		slices.Sort(took[what])
		return float64(took[what][len(took[what])/2].Nanoseconds())
	}
	b.ReportMetric(0, "ns/op") // the sum of both means nothing
	b.ReportMetric(median("/without")/1_000, "µs/without")
	b.ReportMetric(median("/with")/1_000, "µs/with")
	b.ReportMetric(median("/without in Redis")/1_000, "µs/without-in-Redis")
	b.ReportMetric(median("/with in Redis")/1_000, "µs/with-in-Redis")
	b.ReportMetric(median("/with")/median("/without"), "with/without")
}
