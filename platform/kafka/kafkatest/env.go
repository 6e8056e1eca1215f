// Package kafkatest provides the fixture of consumer tests: a topic and its dead-letter topic on an
// in-process and on a real Kafka, and a key prefix in a real Redis.
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
	timeout    = time.Minute
)

// Env is a topic, its dead-letter topic and a key prefix, which no other test uses.
type Env struct {
	*testing.T
	Kafka      kafka.Config // topics have two partitions
	Topic, DLQ string
	Redis      goredis.UniversalClient
	Prefix     string // of the test's keys, which are deleted when it ends
}

// OnEachBroker runs the test on an in-process Kafka and on the Kafka of TEST_KAFKA_BROKERS, each with the
// Redis of TEST_REDIS_ADDR.
func OnEachBroker(t *testing.T, test func(e Env)) {
	t.Run("in process", func(t *testing.T) {
		t.Parallel()
		test(newInProcessEnv(t))
	})
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		brokers := strings.Split(testenv.RequireEnv(t, "TEST_KAFKA_BROKERS"), ",")
		e := newEnv(t, "test-"+strings.ToLower(rand.Text()))
		e.Kafka.Brokers = brokers
		createTopics(t, brokers, e.Topic, e.DLQ)
		test(e)
	})
}

// WithoutTopicIDs runs the test on an in-process Kafka whose topics have no ids.
func WithoutTopicIDs(t *testing.T, test func(e Env)) {
	t.Run("without topic ids", func(t *testing.T) {
		t.Parallel()
		test(newInProcessEnv(t, kfake.MaxVersions(kversion.V2_7_0())))
	})
}

func newInProcessEnv(t *testing.T, options ...kfake.Opt) Env {
	t.Helper()
	e := newEnv(t, "events")
	cluster, err := kfake.NewCluster(append(options, kfake.NumBrokers(1), kfake.SeedTopics(partitions, e.Topic, e.DLQ))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	e.Kafka.Brokers = cluster.ListenAddrs()
	return e
}

func newEnv(t *testing.T, topic string) Env {
	t.Helper()
	e := Env{
		T: t, Kafka: kafka.Config{ClientID: "test", Partitions: partitions},
		Topic: topic, DLQ: topic + "-dead",
		Redis:  goredis.NewClient(&goredis.Options{Addr: testenv.RequireEnv(t, "TEST_REDIS_ADDR"), MaxRetries: -1}),
		Prefix: "test-" + rand.Text() + ":",
	}
	t.Cleanup(func() {
		e.Remove("*")
		_ = e.Redis.Close()
	})
	return e
}

// Remove deletes the keys of the test that match the pattern. "*" simulates a flushed Redis.
func (e Env) Remove(pattern string) {
	e.Helper()
	ctx := context.WithoutCancel(e.Context())
	keys, err := e.Redis.Keys(ctx, e.Prefix+pattern).Result()
	if err == nil && len(keys) > 0 {
		err = e.Redis.Del(ctx, keys...).Err()
	}
	if err != nil {
		e.Errorf("remove %s: %v", pattern, err)
	}
}

// Send writes the values to the topic, in order, with the same key.
func (e Env) Send(values ...string) {
	e.Helper()
	producer := producer.New(e.Kafka, nil)
	defer func() { _ = producer.Close() }()
	var records []kafka.Record
	for _, value := range values {
		records = append(records, kafka.Record{Topic: e.Topic, Key: []byte("task-1"), Value: []byte(value)})
	}
	ctx, cancel := context.WithTimeout(e.Context(), timeout)
	defer cancel()
	if err := producer.Send(ctx, records); err != nil {
		e.Fatal(err)
	}
}

// LogEndOffsets is the method LogEndOffsets of a consumer.Group.
type LogEndOffsets = func(context.Context) (map[int32]int64, error)

// Group returns the full name of a consumer group. On a shared Kafka, members of groups with equal names
// would take partitions from each other.
func (e Env) Group(name string) string { return e.Topic + "-" + name }

// Run runs a member of the group with the handler that build returns, until stop is called or the test
// ends.
func (e Env) Run(group string, build func(LogEndOffsets) consumer.Handler) (stop func()) {
	e.Helper()
	return e.runGroup(e.Group(group), e.Topic, build)
}

func (e Env) runGroup(group, topic string, build func(LogEndOffsets) consumer.Handler) (stop func()) {
	e.Helper()
	var member *consumer.Group
	handler := build(func(ctx context.Context) (map[int32]int64, error) { return member.LogEndOffsets(ctx) })
	cfg := consumer.GroupConfig{
		Config: e.Kafka, Group: group, Topic: topic, DLQ: e.DLQ,
		Quarantine: redis.NewQuarantineStore(e.Redis, e.Prefix, group, slog.New(slog.DiscardHandler)),
	}
	member = consumer.NewGroup(cfg, handler, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	ctx, cancel := context.WithCancel(context.WithoutCancel(e.Context()))
	ended := make(chan error, 1)
	go func() { ended <- member.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			e.Errorf("group %s: %v", group, err)
		}
	})
	e.Cleanup(stop)
	return stop
}

// recorder is a handler that keeps every record.
type recorder struct {
	mu      sync.Mutex
	records []kafka.Record
}

func (r *recorder) Handle(_ context.Context, batch []kafka.Record) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = append(r.records, batch...)
	return len(batch), nil
}

// DeadLetters waits for at least count dead letters and returns all.
func (e Env) DeadLetters(count int) []kafka.Record {
	e.Helper()
	r := &recorder{}
	stop := e.runGroup(rand.Text(), e.DLQ, func(LogEndOffsets) consumer.Handler { return r })
	e.Eventually("dead letters are written", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.records) >= count
	})
	stop()
	return r.records
}

// Eventually fails the test unless the condition becomes true within a minute.
func (e Env) Eventually(what string, condition func() bool) {
	e.Helper()
	testenv.EventuallyWithin(e, timeout, what, condition)
}
