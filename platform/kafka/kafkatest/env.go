// Package kafkatest is the world of a consumer's tests: a topic and its dead
// letters on each Kafka there is, and keys of their own in a real Redis.
package kafkatest

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kversion"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/redis"
	"example.com/todo/platform/testenv"
)

const (
	partitions = 2
	timeout    = time.Minute
)

// Env is a topic, its dead letters, and a prefix of keys, all the test's own.
type Env struct {
	*testing.T
	Kafka      kafka.Config // of two partitions
	Topic, DLQ string
	Redis      goredis.UniversalClient
	Prefix     string // of the test's keys, which are gone when it ends
}

// OnEachBroker runs the test on a Kafka in process and, where TEST_KAFKA_BROKERS
// says where one is, on a real one. Both need the Redis of TEST_REDIS_ADDR.
func OnEachBroker(t *testing.T, test func(w Env)) {
	t.Run("in process", func(t *testing.T) {
		t.Parallel()
		test(newInProcessEnv(t))
	})
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		brokers := strings.Split(testenv.RequireEnv(t, "TEST_KAFKA_BROKERS"), ",")
		w := newEnv(t, "test-"+strings.ToLower(rand.Text()))
		w.Kafka.Brokers = brokers
		createTopics(t, brokers, w.Topic, w.DLQ)
		test(w)
	})
}

// WithoutTopicIDs runs the test on a Kafka in process that gives topics no id.
func WithoutTopicIDs(t *testing.T, test func(w Env)) {
	t.Run("without topic ids", func(t *testing.T) {
		t.Parallel()
		test(newInProcessEnv(t, kfake.MaxVersions(kversion.V2_7_0())))
	})
}

func newInProcessEnv(t *testing.T, options ...kfake.Opt) Env {
	t.Helper()
	w := newEnv(t, "events")
	cluster, err := kfake.NewCluster(append(options, kfake.NumBrokers(1), kfake.SeedTopics(partitions, w.Topic, w.DLQ))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	w.Kafka.Brokers = cluster.ListenAddrs()
	return w
}

func newEnv(t *testing.T, topic string) Env {
	t.Helper()
	w := Env{
		T: t, Kafka: kafka.Config{ClientID: "test", Partitions: partitions},
		Topic: topic, DLQ: topic + "-dead",
		Redis:  goredis.NewClient(&goredis.Options{Addr: testenv.RequireEnv(t, "TEST_REDIS_ADDR"), MaxRetries: -1}),
		Prefix: "test-" + rand.Text() + ":",
	}
	t.Cleanup(func() {
		w.Remove("*")
		_ = w.Redis.Close()
	})
	return w
}

// Remove deletes the test's keys that match the pattern; "*" is what a flush does.
func (w Env) Remove(pattern string) {
	w.Helper()
	ctx := context.WithoutCancel(w.Context())
	keys, err := w.Redis.Keys(ctx, w.Prefix+pattern).Result()
	if err == nil && len(keys) > 0 {
		err = w.Redis.Del(ctx, keys...).Err()
	}
	if err != nil {
		w.Errorf("remove %s: %v", pattern, err)
	}
}

// Send writes the values to the topic, in order, under one key.
func (w Env) Send(values ...string) {
	w.Helper()
	producer := kafka.NewProducer(w.Kafka)
	defer func() { _ = producer.Close() }()
	var records []kafka.Record
	for _, value := range values {
		records = append(records, kafka.Record{Topic: w.Topic, Key: []byte("task-1"), Value: []byte(value)})
	}
	ctx, cancel := context.WithTimeout(w.Context(), timeout)
	defer cancel()
	if err := producer.Send(ctx, records); err != nil {
		w.Fatal(err)
	}
}

// LogEndOffsets asks where the log ends; see kafka.Group.Ends.
type LogEndOffsets = func(context.Context) (map[int32]int64, error)

// Group is the whole name of a group: on a Kafka that other tests use too, those of one
// group would take the partitions from each other, whatever their topics.
func (w Env) Group(name string) string { return w.Topic + "-" + name }

// Run makes a member of the group, of the handler that build returns, until the
// returned function is called or the test ends.
func (w Env) Run(group string, build func(LogEndOffsets) kafka.Handler) (stop func()) {
	w.Helper()
	return w.runGroup(w.Group(group), w.Topic, build)
}

func (w Env) runGroup(group, topic string, build func(LogEndOffsets) kafka.Handler) (stop func()) {
	w.Helper()
	var member *kafka.Group
	handler := build(func(ctx context.Context) (map[int32]int64, error) { return member.LogEndOffsets(ctx) })
	cfg := kafka.GroupConfig{
		Config: w.Kafka, Group: group, Topic: topic, DLQ: w.DLQ,
		Quarantine: redis.NewQuarantineStore(w.Redis, w.Prefix, group, slog.New(slog.DiscardHandler)),
	}
	member = kafka.NewGroup(cfg, handler, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.Context()))
	ended := make(chan error, 1)
	go func() { ended <- member.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.Errorf("group %s: %v", group, err)
		}
	})
	w.Cleanup(stop)
	return stop
}

// recorder is a handler that keeps every record.
type recorder struct {
	mu      sync.Mutex
	records []kafka.Record
}

func (s *recorder) Handle(_ context.Context, batch []kafka.Record) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = append(s.records, batch...)
	return len(batch), nil
}

// DeadLetters waits until there are that many.
func (w Env) DeadLetters(count int) []kafka.Record {
	w.Helper()
	s := &recorder{}
	stop := w.runGroup(rand.Text(), w.DLQ, func(LogEndOffsets) kafka.Handler { return s })
	w.Eventually("the dead letters", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.records) >= count
	})
	stop()
	return s.records
}

// Eventually fails the test when the condition does not come true in time.
func (w Env) Eventually(what string, condition func() bool) {
	w.Helper()
	testenv.EventuallyWithin(w, timeout, what, condition)
}
