// Package kafkatest provides the fixture of consumer tests: a topic and its dead-letter topic on an
// in-process and on a real Kafka, and a key prefix in a real Redis.
package kafkatest

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/consumer"
	"example.com/todo/platform/kafka/internal/brokertest"
	"example.com/todo/platform/kafka/reader"
	"example.com/todo/platform/redis"
	"example.com/todo/platform/testenv"
)

// Env is a topic, its dead-letter topic and a key prefix, which no other test uses.
type Env struct {
	*testing.T
	brokertest.Env
	Kafka  kafka.Config
	Redis  goredis.UniversalClient
	Prefix string // of the test's keys, which are deleted when it ends
}

// OnEachBroker runs the test on an in-process Kafka and on the Kafka of TEST_KAFKA_BROKERS, each with the
// Redis of TEST_REDIS_ADDR.
func OnEachBroker(t *testing.T, test func(e Env)) {
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) { test(newEnv(t, w)) })
}

// WithoutTopicIDs runs the test on an in-process Kafka whose topics have no ids.
func WithoutTopicIDs(t *testing.T, test func(e Env)) {
	t.Run("without topic ids", func(t *testing.T) {
		t.Parallel()
		test(newEnv(t, brokertest.NewFakeEnv(t, kfake.MaxVersions(kversion.V2_7_0()))))
	})
}

func newEnv(t *testing.T, w brokertest.Env) Env {
	t.Helper()
	e := Env{
		T: t, Env: w, Kafka: w.Config(),
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

// Send writes the values to partition 0 of the topic, in order, with the same key.
func (e Env) Send(values ...string) {
	e.Helper()
	var records []*kgo.Record
	for _, value := range values {
		records = append(records, &kgo.Record{Key: []byte("task-1"), Value: []byte(value)})
	}
	e.Env.Send(e.T, records...)
}

// Transaction writes the values to partition 0 in a transaction, which stays open until commit or abort
// is called.
func (e Env) Transaction(values ...string) (commit, abort func()) {
	e.Helper()
	transaction := e.Transactions(e.T, rand.Text())
	transaction.Begin(values...)
	return func() { transaction.End(kgo.TryCommit) }, func() { transaction.End(kgo.TryAbort) }
}

// SendOversizedBatch writes one batch that exceeds a reader's bound when it is decompressed. It returns
// the number of its records.
func (e Env) SendOversizedBatch() (records int) {
	e.Helper()
	return e.Env.SendOversizedBatch(e.T, kgo.GzipCompression())
}

// Recreate deletes the topic and creates another one with the same name.
func (e Env) Recreate() {
	e.Helper()
	e.Env.Recreate(e.T)
}

// LogEndOffsets is the method LogEndOffsets of a consumer.Group.
type LogEndOffsets = func(context.Context) (map[int32]int64, error)

// Run runs a member of the group with the handler that build returns, until stop is called or the test
// ends. Group(group) is the group's full name.
func (e Env) Run(group string, build func(LogEndOffsets) consumer.Handler) (stop func()) {
	e.Helper()
	log := slog.New(slog.DiscardHandler)
	var member *consumer.Group
	handler := build(func(ctx context.Context) (map[int32]int64, error) { return member.LogEndOffsets(ctx) })
	cfg := consumer.GroupConfig{
		Config: e.Kafka, Group: e.Group(group), Topic: e.Topic, DLQ: e.DLQ,
		Quarantine: redis.NewQuarantineStore(e.Redis, e.Prefix, e.Group(group), log),
	}
	member = consumer.NewGroup(cfg, handler, log, prometheus.NewRegistry())
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

// DeadLetters waits for at least count dead letters and returns all.
func (e Env) DeadLetters(count int) (letters []kafka.Record) {
	e.Helper()
	e.Eventually("dead letters are written", func() bool {
		letters = nil
		_, err := reader.Scan(e.Context(), e.Kafka, e.DLQ, nil, func(_ context.Context, batch []kafka.Record) error {
			letters = append(letters, batch...)
			return nil
		})
		return err == nil && len(letters) >= count
	})
	return letters
}

// Eventually fails the test unless the condition becomes true within a minute.
func (e Env) Eventually(what string, condition func() bool) {
	e.Helper()
	testenv.EventuallyWithin(e, time.Minute, what, condition)
}
