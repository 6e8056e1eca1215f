package app_test

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/command"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/producer"
	"example.com/todo/platform/ops"
	"example.com/todo/platform/testenv"
	"example.com/todo/stats-service/internal/app"
)

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

func sendCompletions(t *testing.T, cfg app.Config, ids ...string) {
	t.Helper()
	sendCompletionsBy(t, cfg, "", ids...)
}

// sendCompletionsBy sends completions with that member user_id.
func sendCompletionsBy(t *testing.T, cfg app.Config, user string, ids ...string) {
	t.Helper()
	producer := producer.New(cfg.Kafka, nil)
	defer producer.Close()
	var records []kafka.Record
	for _, id := range ids {
		value := fmt.Sprintf(`{%s"id":%q,"type":"task.completed","task_id":1,"task_title":"Learn Go","timestamp":%q}`, user, id, time.Now().UTC().Format(time.RFC3339))
		records = append(records, kafka.Record{Topic: "task-events", Key: []byte(id), Value: []byte(value)})
	}
	if err := producer.Send(t.Context(), records); err != nil {
		t.Fatal(err)
	}
}

func TestServiceCountsDuringAndAfterARebuild(t *testing.T) {
	t.Parallel()
	cfg := settingsWithServers(t)
	serve(t, cfg)
	awaitTotal := func(want int64) {
		t.Helper()
		testenv.Eventually(t, fmt.Sprint("a total of ", want), func() bool {
			r := report(t, cfg)
			return r.CompletedTotal == want && r.Complete && !r.Rebuilding && r.Lag != nil && *r.Lag == 0
		})
	}
	testenv.Eventually(t, "ready", func() bool { return ops.Probe(t.Context(), cfg.Ops) == nil })
	sendCompletions(t, cfg, "e1", "e2", "e3")
	awaitTotal(3)
	if err := app.Rebuild(t.Context(), cfg, false); err != nil {
		t.Fatal(err)
	}
	awaitTotal(3)
	sendCompletions(t, cfg, "e3", "e4")
	awaitTotal(4)
}

func TestRebuildThatCannotStartIsAUsageErrorOfOneLine(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		arrange func(t *testing.T, cfg *app.Config)
		want    string
	}{
		"Redis is down": {func(t *testing.T, cfg *app.Config) { cfg.Redis.Addr = testenv.FreeAddr(t) }, "is it running, and does redis.addr name it?"},
		"Kafka is down": {func(t *testing.T, cfg *app.Config) { cfg.Kafka.Brokers = []string{testenv.FreeAddr(t)} }, "is Kafka running, and does the setting kafka.brokers name it?"},
		"another number of partitions": {
			func(t *testing.T, cfg *app.Config) { cfg.Kafka.Brokers = startKafka(t, 3) },
			`topic "task-events" has 3 partitions but 6 are configured`,
		},
		"another one is running": {func(t *testing.T, cfg *app.Config) {
			client := goredis.NewClient(&goredis.Options{Addr: cfg.Redis.Addr})
			defer client.Close()
			client.Set(t.Context(), cfg.Redis.KeyPrefix+"lock:stats-rebuild", "process 7 on elsewhere#x", 29*time.Second)
		}, "another rebuild is under way: "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := settingsWithServers(t)
			test.arrange(t, &cfg)
			err := app.Rebuild(t.Context(), cfg, false)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("got %q, want one line with %q", err, test.want)
			}
			if want := fmt.Sprintf("%T", command.UsageError(err)); fmt.Sprintf("%T", err) != want {
				t.Errorf("got a %T, want a %s", err, want)
			}
		})
	}
}
