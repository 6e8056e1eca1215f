package app_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kfake"

	"example.com/todo/notification-service/internal/app"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/producer"
	"example.com/todo/platform/ops"
	"example.com/todo/platform/testenv"
)

// settings returns the settings of a service whose Kafka and Redis are down.
func settings(t *testing.T) app.Config {
	t.Helper()
	cfg := app.Defaults()
	cfg.Ops.Addr = testenv.FreeAddr(t)
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

func status(url string) int {
	answer, err := http.Get(url)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	return answer.StatusCode
}

// settingsWithServers returns the settings of a service with a Kafka in this process and a
// real Redis.
func settingsWithServers(t *testing.T) app.Config {
	t.Helper()
	cfg := settings(t)
	cfg.Redis.Addr = testenv.RequireEnv(t, "TEST_REDIS_ADDR")
	cfg.Redis.KeyPrefix = "{test-" + rand.Text() + "}"
	cfg.Kafka.Brokers = startKafka(t, 6)
	t.Cleanup(func() { remove(t, cfg.Redis.Addr, cfg.Redis.KeyPrefix+"*") })
	return cfg
}

// sendCompletions sends a completion for each id, all of one task.
func sendCompletions(t *testing.T, cfg app.Config, ids ...string) {
	t.Helper()
	producer := producer.New(cfg.Kafka, nil)
	defer producer.Close()
	var records []kafka.Record
	for _, id := range ids {
		value := `{"id":"` + id + `","type":"task.completed","task_id":1,"task_title":"Learn Go","timestamp":"2026-01-15T10:00:00Z"}`
		records = append(records, kafka.Record{Topic: "task-events", Key: []byte("task-1"), Value: []byte(value)})
	}
	if err := producer.Send(t.Context(), records); err != nil {
		t.Fatal(err)
	}
}

// awaitSent waits until the event's notification is recorded as sent.
func awaitSent(t *testing.T, cfg app.Config, id string) {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: cfg.Redis.Addr})
	defer client.Close()
	testenv.Eventually(t, "the notification of "+id, func() bool {
		return client.Get(t.Context(), cfg.Redis.KeyPrefix+"processed:task.completed:"+id).Val() == "done"
	})
}

func TestCompletionIsSentAndRecorded(t *testing.T) {
	t.Parallel()
	cfg := settingsWithServers(t)
	stop := serve(t, cfg)
	testenv.Eventually(t, "ready", func() bool { return ops.Probe(t.Context(), cfg.Ops) == nil })
	sendCompletions(t, cfg, "e1")
	awaitSent(t, cfg, "e1")
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
	if err := ops.Probe(t.Context(), cfg.Ops); err == nil {
		t.Error("Probe returned nil for a service that is not ready")
	}
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
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
