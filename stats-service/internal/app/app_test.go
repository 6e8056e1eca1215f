package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kfake"

	"example.com/todo/contracts/openapi"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/openapitest"
	"example.com/todo/platform/ops"
	"example.com/todo/platform/testenv"
	"example.com/todo/stats-service/internal/app"
	"example.com/todo/stats-service/internal/stats"
)

// settings returns the settings of a service whose Kafka and Redis are down.
func settings(t *testing.T) app.Config {
	t.Helper()
	cfg := app.Defaults()
	cfg.HTTP.Addr, cfg.Ops.Addr = testenv.FreeAddr(t), testenv.FreeAddr(t)
	cfg.Redis.Addr, cfg.Kafka.Brokers = testenv.FreeAddr(t), []string{testenv.FreeAddr(t)}
	return cfg
}

// startKafka starts a Kafka in this process, whose topics have that number of partitions.
func startKafka(t *testing.T, partitions int32) []string {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, "task-events", "task-events-dlq"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster.ListenAddrs()
}

// serve runs the service until stop is called, which returns the result of Run, or until
// the test ends.
func serve(t *testing.T, cfg app.Config) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		err := app.Run(ctx, cfg)
		if ctx.Err() == nil {
			t.Errorf("Run ended before it was stopped: %v", err)
		}
		ended <- err
	}()
	t.Cleanup(cancel)
	return func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(30 * time.Second):
			return errors.New("the service did not stop within 30 s")
		}
	}
}

func status(url string) int { return statusTo(http.DefaultClient, url) }

func statusTo(client *http.Client, url string) int {
	answer, err := client.Get(url)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	return answer.StatusCode
}

// checkingClient returns a client that fails on a response that is not as documented.
func checkingClient(t *testing.T) *http.Client {
	t.Helper()
	document, err := openapitest.Parse(openapi.Stats)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Transport: document.Transport(http.DefaultTransport)}
}

func report(t *testing.T, cfg app.Config) (r stats.Report) {
	t.Helper()
	answer, err := checkingClient(t).Get("http://" + cfg.HTTP.Addr + "/stats")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&r); err != nil {
		t.Fatal(err)
	}
	return r
}

// metrics returns what Prometheus scrapes.
func metrics(t *testing.T, cfg app.Config) string {
	t.Helper()
	answer, err := http.Get("http://" + cfg.Ops.Addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("/metrics: %s, %v", answer.Status, err)
	}
	return string(body)
}

func TestCompletionShowsInTheStatistics(t *testing.T) {
	t.Parallel()
	cfg := settingsWithServers(t)
	stop := serve(t, cfg)
	testenv.Eventually(t, "ready", func() bool { return ops.Probe(t.Context(), cfg.Ops) == nil })
	sendCompletions(t, cfg, "e1")
	testenv.Eventually(t, "the count", func() bool {
		r := report(t, cfg)
		return r.CompletedTotal == 1 && r.CompletedToday == 1 && r.Complete && r.Lag != nil && *r.Lag == 0
	})
	if got := metrics(t, cfg); !strings.Contains(got, "\nstats_completed_today_tasks 1\n") {
		t.Error("stats_completed_today_tasks is not 1")
	}
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestServiceStartsAndStopsWhileKafkaAndRedisAreDown(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	stop := serve(t, cfg)
	testenv.Eventually(t, "the ops port", func() bool { return status("http://"+cfg.Ops.Addr+"/livez") == http.StatusOK })
	if got := status("http://" + cfg.Ops.Addr + "/readyz"); got != http.StatusServiceUnavailable {
		t.Errorf("/readyz %d, want 503", got)
	}
	if got := statusTo(checkingClient(t), "http://"+cfg.HTTP.Addr+"/stats"); got != http.StatusServiceUnavailable {
		t.Errorf("/stats %d, want 503", got)
	}
	if got := metrics(t, cfg); strings.Contains(got, "stats_completed_today_tasks") || !strings.Contains(got, "\nstats_events_unknown_total 0\n") {
		t.Error("while Redis is down the metrics are not all but stats_completed_today_tasks")
	}
	if err := ops.Probe(t.Context(), cfg.Ops); err == nil {
		t.Error("Probe returned nil for a service that is not ready")
	}
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestServiceAnswersWithConnectionCloseWhileItDrains(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	cfg.DrainWait = time.Minute
	stop := serve(t, cfg)
	testenv.Eventually(t, "the ops port", func() bool { return status("http://"+cfg.Ops.Addr+"/livez") == http.StatusOK })
	go func() { _ = stop() }()
	testenv.Eventually(t, "a response with Connection: close", func() bool {
		answer, err := http.Get("http://" + cfg.HTTP.Addr + "/stats")
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		return answer.Close
	})
}

func TestRunFailsWhenTheTopicHasAnotherNumberOfPartitions(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	cfg.Kafka.Brokers = startKafka(t, 3)
	err := app.Run(t.Context(), cfg)
	var wrong *kafka.TopicError
	if !errors.As(err, &wrong) || wrong.Have != 3 || wrong.Want != 6 {
		t.Errorf("Run: %v, want a kafka.TopicError of 3 and 6", err)
	}
}

// remove deletes the keys that match.
func remove(t *testing.T, addr, pattern string) {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: addr})
	defer client.Close()
	keys, err := client.Keys(context.Background(), pattern).Result()
	if err == nil && len(keys) > 0 {
		err = client.Del(context.Background(), keys...).Err()
	}
	if err != nil {
		t.Errorf("remove %s: %v", pattern, err)
	}
}
