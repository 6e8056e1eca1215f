package redisstore_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
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

// BenchmarkSessionCheck measures requests for the cached list over HTTP, without sign-in
// and with the check of a session. Rounds of both alternate. It reports the median of a
// request's share in its round, and the ratio of the two.
func BenchmarkSessionCheck(b *testing.B) {
	for _, clients := range []int{1, 32} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			server := newListServer(b)
			server.round(b, "/without", clients, 10)
			server.round(b, "/with", clients, 10)
			var without, with []time.Duration
			for b.Loop() {
				without = append(without, server.round(b, "/without", clients, 10))
				with = append(with, server.round(b, "/with", clients, 10))
			}
			median := func(took []time.Duration) float64 {
				slices.Sort(took)
				return float64(took[len(took)/2].Nanoseconds()) / 1_000
			}
			b.ReportMetric(0, "ns/op") // the sum of both means nothing
			b.ReportMetric(median(without), "µs/without")
			b.ReportMetric(median(with), "µs/with")
			b.ReportMetric(median(with)/median(without), "with/without")
		})
	}
}

// listServer serves a cached list of some 100 tasks at /without and, to a signed-in user,
// at /with.
type listServer struct {
	*httptest.Server
	token string
}

func newListServer(b *testing.B) *listServer {
	b.Helper()
	s := open(b, testenv.RequireEnv(b, "TEST_REDIS_ADDR"))
	s.pipeline.ExtendTimeout()
	lists := redisstore.NewListCache(s.pipeline, s.prefix, s.log(), nil)
	cfg := redisstore.AuthenticatorConfig{
		Pipeline: s.pipeline, Lists: lists, Log: s.log(),
		Limiter: redisstore.NewLimiter(s.pipeline, s.prefix, redisstore.LimiterConfig{Requests: 1_000_000_000, Window: time.Second}, s.log(), nil),
	}
	without := redisstore.NewAuthenticator(cfg)
	sessionCfg := session.Defaults()
	sessionCfg.KeyPrefix = s.prefix
	cfg.Sessions = session.NewStore(s, sessionCfg)
	with := redisstore.NewAuthenticator(cfg)
	token, _, err := cfg.Sessions.Create(b.Context(), session.User{ID: 7, Role: "user"})
	if err != nil {
		b.Fatal(err)
	}

	body := []byte(strings.Repeat("x", 12_000))
	query := func(context.Context) (listcache.Entry, error) { return listcache.Entry{Body: body, ETag: "x"}, nil }
	handler := func(a *redisstore.Authenticator) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			ctx, _, err := a.Authenticate(r.Context(), redisstore.AuthRequest{Token: r.Header.Get("Authorization"), Client: addr, List: true})
			if err != nil {
				b.Error(err)
			}
			list, err := lists.Load(ctx, task.Owner(session.UserFrom(ctx).ID), query)
			if err != nil {
				b.Error(err)
			}
			_, _ = w.Write(list.Body)
		}
	}
	mux := http.NewServeMux()
	mux.Handle("GET /without", handler(without))
	mux.Handle("GET /with", handler(with))
	telemetry := httpserver.Telemetry{Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Tracer: noop.NewTracerProvider()}
	server := httptest.NewServer(httpserver.Instrument(httpserver.Routes(mux), httpserver.Defaults(":0"), telemetry))
	b.Cleanup(server.Close)
	server.Client().Transport.(*http.Transport).MaxIdleConnsPerHost = 64
	return &listServer{server, token}
}

// round makes that many requests by each client, and returns the time for each request.
func (s *listServer) round(b *testing.B, path string, clients, requests int) time.Duration {
	b.Helper()
	began := time.Now()
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for range requests {
				request, err := http.NewRequestWithContext(b.Context(), http.MethodGet, s.URL+path, nil)
				if err != nil {
					b.Error(err)
					return
				}
				request.Header.Set("Authorization", s.token)
				response, err := s.Client().Do(request)
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				response.Body.Close()
			}
		})
	}
	all.Wait()
	return time.Since(began) / time.Duration(clients*requests)
}
