package deadletter_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"example.com/todo/platform/command"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/consumer"
	"example.com/todo/platform/kafka/deadletter"
	"example.com/todo/platform/kafka/kafkatest/onebatch"
	"example.com/todo/platform/kafka/reader"
	"example.com/todo/platform/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const partitions = 2

// env is a Kafka with a topic and a dead-letter topic of the test's own.
type env struct {
	*testing.T
	brokers    []string
	topic, dlq string
	fake       *kfake.Cluster // nil for a real Kafka
	client     *kgo.Client    // of another program
}

// onEachBroker runs the test on an in-process Kafka, and on the Kafka of TEST_KAFKA_BROKERS.
func onEachBroker(t *testing.T, test func(e env)) {
	t.Run("in process", func(t *testing.T) {
		t.Parallel()
		test(newInProcessEnv(t))
	})
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		test(newEnv(t, strings.Split(testenv.RequireEnv(t, "TEST_KAFKA_BROKERS"), ","), nil))
	})
}

func newInProcessEnv(t *testing.T) env {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return newEnv(t, cluster.ListenAddrs(), cluster)
}

func newEnv(t *testing.T, brokers []string, fake *kfake.Cluster) env {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	name := "test-" + strings.ToLower(rand.Text()[:12])
	e := env{T: t, brokers: brokers, topic: name, dlq: name + "-dlq", fake: fake, client: client}
	create := kmsg.NewPtrCreateTopicsRequest()
	for _, topic := range []string{e.topic, e.dlq} {
		wanted := kmsg.NewCreateTopicsRequestTopic()
		wanted.Topic, wanted.NumPartitions, wanted.ReplicationFactor = topic, partitions, 1
		create.Topics = append(create.Topics, wanted)
	}
	created, err := create.RequestWith(e.timeoutContext(), client)
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range created.Topics {
		if err := kerr.ErrorForCode(topic.ErrorCode); err != nil {
			t.Fatal(err)
		}
	}
	if fake == nil {
		t.Cleanup(func() {
			remove := kmsg.NewPtrDeleteTopicsRequest()
			remove.TopicNames = []string{e.topic, e.dlq}
			_, _ = remove.RequestWith(context.Background(), client)
		})
	}
	return e
}

func (e env) timeoutContext() context.Context {
	ctx, cancel := context.WithTimeout(e.Context(), 40*time.Second)
	e.Cleanup(cancel)
	return ctx
}

// group returns the name of a group, unique among the tests that share a Kafka.
func (e env) group(name string) string { return e.topic + "-" + name }

func (e env) kafka() kafka.Config {
	return kafka.Config{Brokers: e.brokers, ClientID: "test", Partitions: partitions}
}

// setMaxMessageBytes makes the topic reject larger batches.
func (e env) setMaxMessageBytes(topic string, bytes int) {
	e.Helper()
	value := fmt.Sprint(bytes)
	entry := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	entry.Name, entry.Op, entry.Value = "max.message.bytes", kmsg.IncrementalAlterConfigOpSet, &value
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName, resource.Configs = kmsg.ConfigResourceTypeTopic, topic, append(resource.Configs, entry)
	alter := kmsg.NewPtrIncrementalAlterConfigsRequest()
	alter.Resources = append(alter.Resources, resource)
	altered, err := alter.RequestWith(e.timeoutContext(), e.client)
	if err != nil {
		e.Fatal(err)
	}
	if err := kerr.ErrorForCode(altered.Resources[0].ErrorCode); err != nil {
		e.Fatal(err)
	}
}

// send writes records as another program would.
func (e env) send(records ...*kgo.Record) {
	e.Helper()
	if err := e.client.ProduceSync(e.timeoutContext(), records...).FirstErr(); err != nil {
		e.Fatal(err)
	}
}

// sendOversizedBatch writes one batch that exceeds a reader's bound when it is decompressed.
func (e env) sendOversizedBatch(topic string) {
	e.Helper()
	batch := make([]*kgo.Record, 80)
	value := bytes.Repeat([]byte("b"), 900_000)
	for i := range batch {
		batch[i] = &kgo.Record{Topic: topic, Value: value}
	}
	if err := onebatch.Send(e.timeoutContext(), []kgo.Opt{kgo.SeedBrokers(e.brokers...)}, kgo.GzipCompression(), batch...); err != nil {
		e.Fatal(err)
	}
}

// readTopic returns all records of the topic, partition by partition.
func (e env) readTopic(topic string) (records []kafka.Record) {
	e.Helper()
	_, err := reader.Scan(e.timeoutContext(), e.kafka(), topic, nil, func(_ context.Context, batch []kafka.Record) error {
		records = append(records, batch...)
		return nil
	})
	if err != nil {
		e.Fatal(err)
	}
	return records
}

// deadLetter returns a dead letter of the group "readers". The headers are those of its original record.
func (e env) deadLetter(offset int, key, value string, headers ...kgo.RecordHeader) *kgo.Record {
	record := &kgo.Record{Topic: e.dlq, Key: []byte(key), Value: []byte(value), Headers: headers}
	for _, header := range [][2]string{
		{"error", "broken: " + value}, {"original-topic", e.topic}, {"original-partition", "0"},
		{"original-offset", fmt.Sprint(offset)}, {"consumer-group", e.group("readers")}, {"attempts", "1"},
		{"failed-at", time.Now().UTC().Format(time.RFC3339)},
	} {
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: header[0], Value: []byte(header[1])})
	}
	return record
}

// withHeader replaces the value of a header of the dead letter, not of its original record.
func withHeader(record *kgo.Record, key, value string) *kgo.Record {
	for i, header := range slices.Backward(record.Headers) {
		if header.Key == key {
			record.Headers[i].Value = []byte(value)
			break
		}
	}
	return record
}

// result is what a command wrote, and its exit status.
type result struct {
	status         int
	stdout, stderr string
}

// run executes the command dlq with the settings of e.
func (e env) run(args ...string) result {
	e.Helper()
	var out, stderr bytes.Buffer
	status := e.runTo(e.timeoutContext(), &out, &stderr, args...)
	return result{status, out.String(), stderr.String()}
}

func (e env) runTo(ctx context.Context, out, stderr io.Writer, args ...string) int {
	load := func(string, []string) (kafka.Config, error) { return e.kafka(), nil }
	p := command.New("service", "Serves", load, func(context.Context, kafka.Config) error { return errors.New("not implemented") })
	deadletter.Add(p, func(cfg kafka.Config) deadletter.Queue {
		return deadletter.Queue{Kafka: cfg, Topic: e.dlq, Group: e.group("readers"), TypeHeader: "kind"}
	})
	return p.Run(ctx, append([]string{"dlq"}, args...), out, stderr)
}

// flakyHandler rejects values that begin with "bad", until fix is called.
type flakyHandler struct {
	mu     sync.Mutex
	fixed  bool
	values []string
}

func (r *flakyHandler) Handle(_ context.Context, batch []kafka.Record) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, record := range batch {
		if !r.fixed && strings.HasPrefix(string(record.Value), "bad") {
			return i, consumer.Permanent(errors.New("cannot handle " + string(record.Value)))
		}
		r.values = append(r.values, string(record.Value))
	}
	return len(batch), nil
}

func (r *flakyHandler) fix() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fixed = true
}

func (r *flakyHandler) handled() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.values...)
}

// runGroup runs a member of the group until the test ends.
func (e env) runGroup(group string, r *flakyHandler) {
	e.Helper()
	cfg := consumer.GroupConfig{Config: e.kafka(), Group: e.group(group), Topic: e.topic, DLQ: e.dlq}
	member := consumer.NewGroup(cfg, r, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- member.Run(ctx) }()
	e.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			e.Errorf("group %s: %v", group, err)
		}
	})
}
