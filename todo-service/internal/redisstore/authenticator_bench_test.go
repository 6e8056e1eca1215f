package redisstore_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/platform/session"
	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/listcache"
	"example.com/todo/todo-service/internal/redisstore"
	"example.com/todo/todo-service/internal/task"
)

// BenchmarkSessionCheck measures what a request for the cached list costs in Redis: limit
// and lookup, without sign-in and with the check of a session. Both alternate. It reports
// the medians and their ratio.
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
	hit := func(a *redisstore.Authenticator, token string) time.Duration {
		began := time.Now()
		ctx, _, err := a.Authenticate(b.Context(), redisstore.AuthRequest{Token: token, Client: addr, List: true})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := lists.Load(ctx, task.Owner(session.UserFrom(ctx).ID), query); err != nil {
			b.Fatal(err)
		}
		return time.Since(began)
	}
	for range 100 {
		hit(off, "")
		hit(on, token)
	}
	var without, with []time.Duration
	for b.Loop() {
		without = append(without, hit(off, ""))
		with = append(with, hit(on, token))
	}
	median := func(took []time.Duration) float64 {
		slices.Sort(took)
		return float64(took[len(took)/2].Nanoseconds())
	}
	b.ReportMetric(0, "ns/op") // the sum of both means nothing
	b.ReportMetric(median(without)/1_000, "µs/without")
	b.ReportMetric(median(with)/1_000, "µs/with")
	b.ReportMetric(median(with)/median(without), "with/without")
}
