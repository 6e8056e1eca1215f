package consumer_test

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
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/testenv"
)

// world is a topic, its dead letters, and a Redis prefix, all the test's own.
type world struct {
	*testing.T
	cfg        kafka.Config
	topic, dlq string
	redis      goredis.UniversalClient
	prefix     string
}

// everyKafka runs the test on a Kafka in process and, where TEST_KAFKA_BROKERS
// says where one is, on a real one.
func everyKafka(t *testing.T, test func(w world)) {
	t.Run("in process", func(t *testing.T) {
		t.Parallel()
		client, prefix := openRedis(t)
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "events", "dead"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cluster.Close)
		cfg := kafka.Config{Brokers: cluster.ListenAddrs(), ClientID: "test", Partitions: 2}
		test(world{t, cfg, "events", "dead", client, prefix})
	})
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		cfg := kafka.Config{Brokers: strings.Split(testenv.Need(t, "TEST_KAFKA_BROKERS"), ","), ClientID: "test", Partitions: 2}
		client, prefix := openRedis(t)
		topic := "test-" + strings.ToLower(rand.Text())
		createTopics(t, cfg.Brokers, topic, topic+"-dead")
		test(world{t, cfg, topic, topic + "-dead", client, prefix})
	})
}

func createTopics(t *testing.T, brokers []string, topics ...string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		remove := kmsg.NewPtrDeleteTopicsRequest()
		remove.TopicNames = topics
		if _, err := remove.RequestWith(context.Background(), client); err != nil {
			t.Error(err)
		}
		client.Close()
	})
	create := kmsg.NewPtrCreateTopicsRequest()
	for _, topic := range topics {
		wanted := kmsg.NewCreateTopicsRequestTopic()
		wanted.Topic, wanted.NumPartitions, wanted.ReplicationFactor = topic, 2, 1
		create.Topics = append(create.Topics, wanted)
	}
	created, err := create.RequestWith(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range created.Topics {
		if err := kerr.ErrorForCode(topic.ErrorCode); err != nil {
			t.Fatal(err)
		}
	}
}

func openRedis(t *testing.T) (goredis.UniversalClient, string) {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: testenv.Need(t, "TEST_REDIS_ADDR"), MaxRetries: -1})
	prefix := "test-" + rand.Text() + ":"
	t.Cleanup(func() {
		remove(t, client, prefix+"*")
		client.Close()
	})
	return client, prefix
}

// remove deletes the keys that match.
func remove(t *testing.T, client goredis.UniversalClient, pattern string) {
	t.Helper()
	keys, err := client.Keys(context.Background(), pattern).Result()
	if err == nil && len(keys) > 0 {
		err = client.Del(context.Background(), keys...).Err()
	}
	if err != nil {
		t.Errorf("remove %s: %v", pattern, err)
	}
}

// send writes the values to the topic, in order, under one key.
func (w world) send(values ...string) {
	w.Helper()
	producer := kafka.NewProducer(w.cfg)
	defer producer.Close()
	var records []kafka.Record
	for _, value := range values {
		records = append(records, kafka.Record{Topic: w.topic, Key: []byte("task-1"), Value: []byte(value)})
	}
	ctx, cancel := context.WithTimeout(w.Context(), 30*time.Second)
	defer cancel()
	if err := producer.Send(ctx, records); err != nil {
		w.Fatal(err)
	}
}

// survey asks where the log ends.
type survey func(context.Context) (map[int32]int64, error)

// run makes a member of the group, of the handler that build returns, until the
// returned function is called or the test ends.
func (w world) run(group, topic string, build func(survey) kafka.Handler) (stop func()) {
	w.Helper()
	var member *kafka.Group
	handler := build(func(ctx context.Context) (map[int32]int64, error) { return member.Ends(ctx) })
	cfg := kafka.GroupConfig{Config: w.cfg, Group: group, Topic: topic, DLQ: w.dlq}
	member = kafka.NewGroup(cfg, handler, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	ctx, cancel := context.WithCancel(context.Background())
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

// deadLetters waits until there are that many.
func (w world) deadLetters(count int) []kafka.Record {
	w.Helper()
	s := &shelf{}
	stop := w.run(rand.Text(), w.dlq, func(survey) kafka.Handler { return s })
	w.await("the dead letters", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.records) >= count
	})
	stop()
	return s.records
}

// await fails the test when the condition does not come true in time.
func (w world) await(what string, condition func() bool) {
	w.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-deadline.C:
			w.Fatalf("%s: not within a minute", what)
		}
	}
}
