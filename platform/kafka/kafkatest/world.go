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
	"example.com/todo/platform/kafka/consumer"
	"example.com/todo/platform/kafka/producer"
	"example.com/todo/platform/redis"
	"example.com/todo/platform/testenv"
)

const (
	partitions = 2
	patience   = time.Minute
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
		test(inProcess(t))
	})
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		brokers := strings.Split(testenv.RequireEnv(t, "TEST_KAFKA_BROKERS"), ",")
		w := newWorld(t, "test-"+strings.ToLower(rand.Text()))
		w.Kafka.Brokers = brokers
		createTopics(t, brokers, w.Topic, w.DLQ)
		test(w)
	})
}

// WithoutTopicIDs runs the test on a Kafka in process that gives topics no id.
func WithoutTopicIDs(t *testing.T, test func(w Env)) {
	t.Run("without topic ids", func(t *testing.T) {
		t.Parallel()
		test(inProcess(t, kfake.MaxVersions(kversion.V2_7_0())))
	})
}

func inProcess(t *testing.T, options ...kfake.Opt) Env {
	t.Helper()
	w := newWorld(t, "events")
	cluster, err := kfake.NewCluster(append(options, kfake.NumBrokers(1), kfake.SeedTopics(partitions, w.Topic, w.DLQ))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	w.Kafka.Brokers = cluster.ListenAddrs()
	return w
}

func newWorld(t *testing.T, topic string) Env {
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
	producer := producer.New(w.Kafka)
	defer func() { _ = producer.Close() }()
	var records []kafka.Record
	for _, value := range values {
		records = append(records, kafka.Record{Topic: w.Topic, Key: []byte("task-1"), Value: []byte(value)})
	}
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	if err := producer.Send(ctx, records); err != nil {
		w.Fatal(err)
	}
}

// Survey asks where the log ends; see consumer.Group.Ends.
type Survey = func(context.Context) (map[int32]int64, error)

// Group is the whole name of a group: on a Kafka that other tests use too, those of one
// group would take the partitions from each other, whatever their topics.
func (w Env) Group(name string) string { return w.Topic + "-" + name }

// Run makes a member of the group, of the handler that build returns, until the
// returned function is called or the test ends.
func (w Env) Run(group string, build func(Survey) consumer.Handler) (stop func()) {
	w.Helper()
	return w.run(w.Group(group), w.Topic, build)
}

func (w Env) run(group, topic string, build func(Survey) consumer.Handler) (stop func()) {
	w.Helper()
	var member *consumer.Group
	handler := build(func(ctx context.Context) (map[int32]int64, error) { return member.LogEndOffsets(ctx) })
	cfg := consumer.GroupConfig{
		Config: w.Kafka, Group: group, Topic: topic, DLQ: w.DLQ,
		Quarantine: redis.NewQuarantineStore(w.Redis, w.Prefix, group, slog.New(slog.DiscardHandler)),
	}
	member = consumer.NewGroup(cfg, handler, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
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

// shelf is a handler that keeps every record.
type shelf struct {
	mu      sync.Mutex
	records []kafka.Record
}

func (s *shelf) Handle(_ context.Context, batch []kafka.Record) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = append(s.records, batch...)
	return len(batch), nil
}

// DeadLetters waits until there are that many.
func (w Env) DeadLetters(count int) []kafka.Record {
	w.Helper()
	s := &shelf{}
	stop := w.run(rand.Text(), w.DLQ, func(Survey) consumer.Handler { return s })
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
	testenv.EventuallyWithin(w, patience, what, condition)
}
