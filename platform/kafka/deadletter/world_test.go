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
	"example.com/todo/platform/kafka/reader"
	"example.com/todo/platform/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const partitions = 2

// world is a Kafka with a topic and its dead letters, which are the test's own.
type world struct {
	*testing.T
	brokers    []string
	topic, dlq string
	fake       *kfake.Cluster // nil for a real Kafka
	client     *kgo.Client    // another program's
}

// everywhere runs the test on a Kafka in process and, where TEST_KAFKA_BROKERS
// says where one is, on a real one.
func everywhere(t *testing.T, test func(w world)) {
	t.Run("in process", func(t *testing.T) {
		t.Parallel()
		test(inProcess(t))
	})
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		test(newWorld(t, strings.Split(testenv.RequireEnv(t, "TEST_KAFKA_BROKERS"), ","), nil))
	})
}

func inProcess(t *testing.T) world {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return newWorld(t, cluster.ListenAddrs(), cluster)
}

func newWorld(t *testing.T, brokers []string, fake *kfake.Cluster) world {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	name := "test-" + strings.ToLower(rand.Text()[:12])
	w := world{T: t, brokers: brokers, topic: name, dlq: name + "-dlq", fake: fake, client: client}
	create := kmsg.NewPtrCreateTopicsRequest()
	for _, topic := range []string{w.topic, w.dlq} {
		wanted := kmsg.NewCreateTopicsRequestTopic()
		wanted.Topic, wanted.NumPartitions, wanted.ReplicationFactor = topic, partitions, 1
		create.Topics = append(create.Topics, wanted)
	}
	created, err := create.RequestWith(w.soon(), client)
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
			remove.TopicNames = []string{w.topic, w.dlq}
			_, _ = remove.RequestWith(context.Background(), client)
		})
	}
	return w
}

func (w world) soon() context.Context {
	ctx, cancel := context.WithTimeout(w.Context(), 40*time.Second)
	w.Cleanup(cancel)
	return ctx
}

// group is a group's name among those that read this topic.
func (w world) group(name string) string { return w.topic + "-" + name }

func (w world) kafka() kafka.Config {
	return kafka.Config{Brokers: w.brokers, ClientID: "test", Partitions: partitions}
}

// limit has the topic take no batch of more bytes.
func (w world) limit(topic string, bytes int) {
	w.Helper()
	value := fmt.Sprint(bytes)
	entry := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	entry.Name, entry.Op, entry.Value = "max.message.bytes", kmsg.IncrementalAlterConfigOpSet, &value
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName, resource.Configs = kmsg.ConfigResourceTypeTopic, topic, append(resource.Configs, entry)
	alter := kmsg.NewPtrIncrementalAlterConfigsRequest()
	alter.Resources = append(alter.Resources, resource)
	altered, err := alter.RequestWith(w.soon(), w.client)
	if err != nil {
		w.Fatal(err)
	}
	if err := kerr.ErrorForCode(altered.Resources[0].ErrorCode); err != nil {
		w.Fatal(err)
	}
}

// send writes records as any other program would.
func (w world) send(records ...*kgo.Record) {
	w.Helper()
	if err := w.client.ProduceSync(w.soon(), records...).FirstErr(); err != nil {
		w.Fatal(err)
	}
}

// sendTooLarge writes one batch that unpacks to more than a reader takes.
func (w world) sendTooLarge(topic string) {
	w.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.GzipCompression()), kgo.ProducerBatchMaxBytes(1<<30),
		kgo.BrokerMaxWriteBytes(1<<30), kgo.ManualFlushing())
	if err != nil {
		w.Fatal(err)
	}
	defer client.Close()
	value := bytes.Repeat([]byte("b"), 900_000)
	for range 80 {
		client.Produce(w.soon(), &kgo.Record{Topic: topic, Value: value}, nil)
	}
	if err := client.Flush(w.soon()); err != nil {
		w.Fatal(err)
	}
}

// read returns all that is in the topic, partition by partition.
func (w world) read(topic string) (records []kafka.Record) {
	w.Helper()
	_, err := reader.Scan(w.soon(), w.kafka(), topic, nil, func(_ context.Context, batch []kafka.Record) error {
		records = append(records, batch...)
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	return records
}

// letter makes a dead letter of the group "readers", with further headers before
// the letter's own.
func (w world) letter(offset int, key, value string, headers ...kgo.RecordHeader) *kgo.Record {
	record := &kgo.Record{Topic: w.dlq, Key: []byte(key), Value: []byte(value), Headers: headers}
	for _, header := range [][2]string{
		{"error", "broken: " + value}, {"original-topic", w.topic}, {"original-partition", "0"},
		{"original-offset", fmt.Sprint(offset)}, {"consumer-group", w.group("readers")}, {"attempts", "1"},
		{"failed-at", time.Now().UTC().Format(time.RFC3339)},
	} {
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: header[0], Value: []byte(header[1])})
	}
	return record
}

// with replaces the value of one of the letter's own headers, which come last.
func with(record *kgo.Record, key, value string) *kgo.Record {
	for i, header := range slices.Backward(record.Headers) {
		if header.Key == key {
			record.Headers[i].Value = []byte(value)
			break
		}
	}
	return record
}

// said is what a command wrote, and its exit status.
type said struct {
	status        int
	stdout, notes string
}

// run runs the service's command dlq, with the settings of this world.
func (w world) run(args ...string) said {
	w.Helper()
	var out, notes bytes.Buffer
	status := w.runIn(w.soon(), &out, &notes, args...)
	return said{status, out.String(), notes.String()}
}

func (w world) runIn(ctx context.Context, out, notes io.Writer, args ...string) int {
	load := func(string, []string) (kafka.Config, error) { return w.kafka(), nil }
	p := command.New("service", "Serves", load, func(context.Context, kafka.Config) error { return errors.New("not now") })
	deadletter.Add(p, func(cfg kafka.Config) deadletter.Queue {
		return deadletter.Queue{Kafka: cfg, Topic: w.dlq, Group: w.group("readers"), TypeHeader: "kind"}
	})
	return p.Run(ctx, append([]string{"dlq"}, args...), out, notes)
}

// groupHandler is a group's handler: it can not handle values that begin with "bad",
// until it is cured.
type groupHandler struct {
	mu     sync.Mutex
	cured  bool
	values []string
}

func (r *groupHandler) Handle(_ context.Context, batch []kafka.Record) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, record := range batch {
		if !r.cured && strings.HasPrefix(string(record.Value), "bad") {
			return i, consumer.Permanent(errors.New("can not read " + string(record.Value)))
		}
		r.values = append(r.values, string(record.Value))
	}
	return len(batch), nil
}

func (r *groupHandler) cure() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cured = true
}

func (r *groupHandler) handled() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.values...)
}

// serve runs a group's member until the test ends.
func (w world) serve(group string, r *groupHandler) {
	w.Helper()
	cfg := consumer.GroupConfig{Config: w.kafka(), Group: w.group(group), Topic: w.topic, DLQ: w.dlq}
	member := consumer.NewGroup(cfg, r, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- member.Run(ctx) }()
	w.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			w.Errorf("group %s: %v", group, err)
		}
	})
}

func (w world) await(what string, condition func() bool) {
	w.Helper()
	ctx := w.soon()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			w.Fatalf("waited in vain: %s", what)
		}
	}
}
