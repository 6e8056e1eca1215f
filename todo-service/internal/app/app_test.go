package app

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"example.com/todo/contracts/openapi"
	"example.com/todo/platform/config"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/openapitest"
	"example.com/todo/platform/ops"
	"example.com/todo/platform/testenv"
)

// withoutServers returns the settings of a service whose PostgreSQL, Redis and Kafka are
// unavailable.
func withoutServers(t testing.TB) Config {
	t.Helper()
	cfg := Defaults()
	cfg.HTTP.Addr, cfg.GRPC.Addr, cfg.Ops.Addr = testenv.FreeAddr(t), testenv.FreeAddr(t), testenv.FreeAddr(t)
	cfg.Postgres.DSN = config.Secret("postgres://todo:todo@" + testenv.FreeAddr(t) + "/todo?sslmode=disable")
	cfg.Redis.Addr, cfg.Kafka.Brokers = testenv.FreeAddr(t), []string{testenv.FreeAddr(t)}
	cfg.DrainWait = 0 // there is no load balancer
	cfg.Log.Format = "json"
	return cfg
}

// serve runs the service until the test ends, and wants it to stop without an error.
func serve(t testing.TB, cfg Config) {
	t.Helper()
	_, stop := start(t, cfg)
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func awaitReady(t testing.TB, cfg Config) {
	t.Helper()
	testenv.Eventually(t, "ready", func() bool { return getStatus("http://"+cfg.Ops.Addr+"/readyz") == http.StatusOK })
}

// start runs the service until stop is called, which returns the result of Run.
func start(t testing.TB, cfg Config) (ended <-chan error, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	result := make(chan error, 1)
	go func() { result <- Run(ctx, cfg) }()
	return result, func() error {
		cancel()
		select {
		case err := <-result:
			return err
		case <-time.After(30 * time.Second):
			return errors.New("the service does not stop")
		}
	}
}

func getStatus(url string) int {
	resp, err := http.Get(url)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func TestRunStartsServesAndStopsWithoutItsServers(t *testing.T) {
	t.Parallel()
	cfg := withoutServers(t)
	cfg.HTTP.RequestTimeout = 500 * time.Millisecond
	serve(t, cfg)
	testenv.Eventually(t, "alive", func() bool { return getStatus("http://"+cfg.Ops.Addr+"/livez") == http.StatusOK })
	if got := getStatus("http://" + cfg.Ops.Addr + "/readyz"); got != http.StatusServiceUnavailable {
		t.Errorf("/readyz: %d", got)
	}
	if err := ops.Probe(t.Context(), cfg.Ops); err == nil {
		t.Error("the health check succeeds")
	}

	if got := getStatus("http://" + cfg.HTTP.Addr + "/"); got != http.StatusServiceUnavailable {
		t.Errorf("/: %d", got)
	}
	document, err := openapitest.Parse(openapi.Todo)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: document.Transport(http.DefaultTransport)}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+cfg.HTTP.Addr+"/tasks", strings.NewReader(`{"title":"x"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var problem struct{ Detail string }
		if err := json.NewDecoder(resp.Body).Decode(&problem); err != nil {
			t.Errorf("%s: %v", method, err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" || strings.Contains(problem.Detail, "127.0.0.1") {
			t.Errorf("%s: %d, Retry-After %q, %q", method, resp.StatusCode, resp.Header.Get("Retry-After"), problem.Detail)
		}
	}
}

func TestRunReturnsAnErrorForATopicWithOtherPartitions(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, "task-events"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	cfg := withoutServers(t)
	cfg.Kafka.Brokers = cluster.ListenAddrs()
	ended, _ := start(t, cfg)
	select {
	case err := <-ended:
		var topic *kafka.TopicError
		if !errors.As(err, &topic) || topic.Have != 4 || topic.Want != 6 {
			t.Errorf("Run: %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("Run does not return")
	}
}

func TestServiceIsReadyOnceTheDatabaseIsAvailable(t *testing.T) {
	t.Parallel()
	cfg := withoutServers(t)
	dsn, appear := unavailableUntil(t, migratedDatabase(t))
	cfg.Postgres.DSN = config.Secret(dsn.String())
	serve(t, cfg)
	ready := func() int { return getStatus("http://" + cfg.Ops.Addr + "/readyz") }
	testenv.Eventually(t, "not ready", func() bool { return ready() == http.StatusServiceUnavailable })
	appear()
	testenv.Eventually(t, "ready", func() bool { return ready() == http.StatusOK })
}

// A ping of this database succeeds.
func TestSchemaCheckIsNotReadyOnAnOlderSchema(t *testing.T) {
	t.Parallel()
	s := &schemaCheck{db: openDatabase(t, createDatabase(t))}
	for i, check := range []func(context.Context) error{s.check, s.Ready} {
		if err := check(t.Context()); err == nil || !strings.Contains(err.Error(), "migrate") {
			t.Errorf("check %d: %v", i, err)
		}
	}
}

func TestSchemaCheckServesConcurrentProbes(t *testing.T) {
	t.Parallel()
	db := openDatabase(t, migratedDatabase(t))
	db.SetMaxOpenConns(2)
	s := &schemaCheck{db: db}
	if err := s.check(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var probes sync.WaitGroup
	for range 20 {
		probes.Go(func() {
			if err := s.Ready(ctx); err != nil {
				t.Errorf("Ready: %v", err)
			}
		})
	}
	probes.Wait()
}
