package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/platform/redis"
	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/clientip"
	"example.com/todo/todo-service/internal/httpapi"
	"example.com/todo/todo-service/internal/pgstore"
	"example.com/todo/todo-service/internal/redisstore"
	"example.com/todo/todo-service/internal/task"
)

// BenchmarkListCache reads a list of 100 tasks over HTTP: right after an invalidation (a
// miss, from PostgreSQL), and once more (a hit). It reports both latencies and their ratio.
func BenchmarkListCache(b *testing.B) {
	log, registry := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	redisCfg := redis.Defaults()
	redisCfg.Addr = testenv.RequireEnv(b, "TEST_REDIS_ADDR")
	client := redis.Open(redisCfg, "redis", nil)
	defer client.Close()
	prefix := fmt.Sprintf("bench-%016x:", rand.Uint64())
	pipeline := redisstore.NewAutoPipeline(client)
	lists := redisstore.NewListCache(pipeline, prefix, log, registry)
	limiter := redisstore.NewLimiter(pipeline, prefix, redisstore.LimiterConfig{Requests: 1 << 30, Window: time.Minute}, log, registry)
	tasks := task.NewService(pgstore.New(openDatabase(b, migratedDatabase(b))), time.Now, func(context.Context, task.Owner, string) {})
	for i := range 100 {
		if _, err := tasks.Create(b.Context(), task.NoOwner, task.Draft{Title: fmt.Sprintf("Task %d", i), Priority: i}); err != nil {
			b.Fatal(err)
		}
	}
	server := httptest.NewServer(httpapi.New(httpapi.Config{Tasks: tasks, Owner: ownerFrom, Lists: lists, Allow: limiter.Allow, ClientIP: clientip.New(nil).FromHTTP}))
	defer server.Close()

	var miss, hit time.Duration
	n := 0
	for b.Loop() {
		if err := lists.Invalidate(b.Context(), task.NoOwner, ""); err != nil {
			b.Fatal(err)
		}
		miss += timeList(b, server.URL, "todo-service; fwd=miss")
		hit += timeList(b, server.URL, "todo-service; hit")
		n++
	}
	b.ReportMetric(0, "ns/op") // the sum of both means nothing
	b.ReportMetric(float64(miss.Microseconds())/float64(n), "µs/miss")
	b.ReportMetric(float64(hit.Microseconds())/float64(n), "µs/hit")
	b.ReportMetric(float64(miss)/float64(hit), "miss/hit")
}

func timeList(b *testing.B, url, want string) time.Duration {
	b.Helper()
	start := time.Now()
	resp, err := http.Get(url + "/tasks")
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		b.Fatal(err)
	}
	took := time.Since(start)
	if got := resp.Header.Get("Cache-Status"); got != want {
		b.Fatalf("Cache-Status %q, want %q", got, want)
	}
	return took
}
