package redis_test

import (
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"example.com/todo/platform/redis"
	"example.com/todo/platform/testenv"
)

func TestRoundTripsAreCountedByTheirResult(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	cfg := redis.Defaults()
	cfg.Addr = testenv.RequireEnv(t, "TEST_REDIS_ADDR")
	cfg.Timeout = 5 * time.Second
	reached := redis.Open(cfg, "reached", reg)
	defer reached.Close()
	cfg.Addr = testenv.FreeAddr(t)
	down := redis.Open(cfg, "down", reg)
	defer down.Close()

	reached.Get(t.Context(), "no such key")
	reached.Do(t.Context(), "no such command")
	pipeline := reached.Pipeline()
	pipeline.Ping(t.Context())
	pipeline.Ping(t.Context())
	if _, err := pipeline.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	down.Ping(t.Context())

	got := map[string]uint64{}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			got[family.GetName()+" "+labels(m)] = m.GetHistogram().GetSampleCount()
		}
	}
	// go-redis sends commands of its own when it connects.
	ok, failed := got["redis_roundtrip_seconds ok,reached"], got["redis_roundtrip_seconds error,down"]
	if ok < 3 || failed < 1 || got["redis_roundtrip_seconds error,reached"] != 0 || got["redis_roundtrip_seconds ok,down"] != 0 {
		t.Errorf("want 3 that are ok and 1 error at least: %v", got)
	}
}

func TestPoolIsCountedByTheStateOfItsConnections(t *testing.T) {
	t.Parallel()
	cfg := redis.Defaults()
	cfg.Addr = testenv.RequireEnv(t, "TEST_REDIS_ADDR")
	cfg.PoolSize, cfg.Timeout = 1, time.Second
	reg := prometheus.NewRegistry()
	client := redis.Open(cfg, "redis", reg)
	defer client.Close()
	blocked := make(chan error, 1)
	// This is longer than the pool makes a command wait for a connection: half a second.
	go func() { blocked <- client.BLPop(t.Context(), 5*time.Second, "no such list").Err() }()
	testenv.Eventually(t, "a connection in use", func() bool { return poolMetrics(t, reg)["redis_pool_connections redis,in_use"] == 1 })
	if err := client.Ping(t.Context()).Err(); err == nil {
		t.Error("a pool of one connection served two commands at once")
	}
	if n := poolMetrics(t, reg)["redis_pool_timeouts_total redis"]; n != 1 {
		t.Errorf("%v timeouts, want 1", n)
	}
	<-blocked
	testenv.Eventually(t, "an idle connection and none in use", func() bool {
		got := poolMetrics(t, reg)
		return got["redis_pool_connections redis,in_use"] == 0 && got["redis_pool_connections redis,idle"] == 1
	})
}

func TestScrapeDoesNotWaitForAFrozenCluster(t *testing.T) {
	t.Parallel()
	cfg := redis.Defaults()
	cfg.Addr = startServer(t, silent) + "," + startServer(t, silent) + "," + startServer(t, silent)
	cfg.Timeout = 2 * time.Second
	reg := prometheus.NewRegistry()
	client := redis.Open(cfg, "redis", reg)
	defer client.Close()
	start := time.Now()
	for range 3 {
		if got := poolMetrics(t, reg); len(got) != 2 { // the round trips, ok and error
			t.Errorf("the scrape has figures of an unknown pool: %v", got)
		}
	}
	if took := time.Since(start); took > 1900*time.Millisecond {
		t.Errorf("three scrapes took %v, want 0.9 s", took)
	}
	waiting := func() int {
		var stacks strings.Builder
		if err := pprof.Lookup("goroutine").WriteTo(&stacks, 2); err != nil {
			t.Fatal(err)
		}
		return strings.Count(stacks.String(), "ClusterClient).PoolStats(")
	}
	if n := waiting(); n != 1 {
		t.Errorf("%d goroutines wait for the cluster, want 1", n)
	}
	client.Close()
	testenv.Eventually(t, "no goroutine that waits", func() bool { return waiting() == 0 })
}

func poolMetrics(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			got[family.GetName()+" "+labels(m)] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return got
}

func labels(m *dto.Metric) string {
	var values []string
	for _, pair := range m.GetLabel() {
		values = append(values, pair.GetValue())
	}
	return strings.Join(values, ",")
}
