package deadletter_test

import (
	"bytes"
	"context"
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
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"example.com/todo/platform/command"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/consumer"
	"example.com/todo/platform/kafka/deadletter"
	"example.com/todo/platform/kafka/internal/brokertest"
	"example.com/todo/platform/kafka/kafkatest/onebatch"
	"example.com/todo/platform/kafka/reader"
	"example.com/todo/platform/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// env is a Kafka with a topic and a dead-letter topic of the test's own.
type env struct {
	*testing.T
	brokertest.Env
}

// onEachBroker runs the test on an in-process Kafka, and on the Kafka of TEST_KAFKA_BROKERS.
func onEachBroker(t *testing.T, test func(e env)) {
	brokertest.OnEachBroker(t, func(t *testing.T, broker brokertest.Env) { test(env{t, broker}) })
}

func newInProcessEnv(t *testing.T) env { return env{t, brokertest.NewFakeEnv(t)} }

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
	altered, err := alter.RequestWith(brokertest.TimeoutContext(e.T), e.Client(e.T))
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
	e.Send(e.T, records...)
}

// sendOversizedBatch writes one batch that exceeds a reader's bound when it is decompressed.
func (e env) sendOversizedBatch(topic string) {
	e.Helper()
	batch := make([]*kgo.Record, 80)
	value := bytes.Repeat([]byte("b"), 900_000)
	for i := range batch {
		batch[i] = &kgo.Record{Topic: topic, Value: value}
	}
	if err := onebatch.Send(brokertest.TimeoutContext(e.T), []kgo.Opt{kgo.SeedBrokers(e.Brokers...)}, kgo.GzipCompression(), batch...); err != nil {
		e.Fatal(err)
	}
}

// readTopic returns all records of the topic, partition by partition.
func (e env) readTopic(topic string) (records []kafka.Record) {
	e.Helper()
	_, err := reader.Scan(brokertest.TimeoutContext(e.T), e.Config(), topic, nil, func(_ context.Context, batch []kafka.Record) error {
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
	record := &kgo.Record{Topic: e.DLQ, Key: []byte(key), Value: []byte(value), Headers: headers}
	for _, header := range [][2]string{
		{"error", "broken: " + value}, {"original-topic", e.Topic}, {"original-partition", "0"},
		{"original-offset", fmt.Sprint(offset)}, {"consumer-group", e.Group("readers")}, {"attempts", "1"},
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
	status := e.runTo(brokertest.TimeoutContext(e.T), &out, &stderr, args...)
	return result{status, out.String(), stderr.String()}
}

func (e env) runTo(ctx context.Context, out, stderr io.Writer, args ...string) int {
	load := func(string, []string) (kafka.Config, error) { return e.Config(), nil }
	p := command.New("service", "Serves", load, func(context.Context, kafka.Config) error { return errors.New("not implemented") })
	deadletter.Add(p, func(cfg kafka.Config) deadletter.Queue {
		return deadletter.Queue{Kafka: cfg, Topic: e.DLQ, Group: e.Group("readers"), TypeHeader: "kind"}
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
	cfg := consumer.GroupConfig{Config: e.Config(), Group: e.Group(group), Topic: e.Topic, DLQ: e.DLQ}
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
