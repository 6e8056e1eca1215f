package kafka_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"os"
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

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/testenv"
)

func TestMain(m *testing.M) {
	runVictim()
	testenv.Main(m)
}

const partitions = 3

// env is a Kafka with a topic and a dead-letter topic that are the test's own.
type env struct {
	brokers    []string
	topic, dlq string
	fake       *fakeCluster // nil for a real Kafka
}

// onEachBroker runs the test on a Kafka in process and, where TEST_KAFKA_BROKERS
// says where one is, on a real one.
func onEachBroker(t *testing.T, test func(t *testing.T, w env)) {
	t.Run("in process", func(t *testing.T) {
		t.Parallel()
		test(t, newFakeEnv(t))
	})
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		test(t, newRealEnv(t))
	})
}

func newRealEnv(t *testing.T) env {
	brokers := strings.Split(testenv.RequireEnv(t, "TEST_KAFKA_BROKERS"), ",")
	name := "test-" + strings.ToLower(rand.Text()[:12])
	w := env{brokers: brokers, topic: name, dlq: name + "-dlq"}
	client := w.client(t)
	for _, topic := range []string{w.topic, w.dlq} {
		if err := create(timeoutContext(t), client, topic); err != nil {
			t.Fatalf("create %s: %v", topic, err)
		}
	}
	t.Cleanup(func() {
		request := kmsg.NewPtrDeleteTopicsRequest()
		request.TopicNames = []string{w.topic, w.dlq}
		request.RequestWith(context.Background(), client)
	})
	return w
}

func create(ctx context.Context, client *kgo.Client, topic string) error {
	creation := kmsg.NewCreateTopicsRequestTopic()
	creation.Topic, creation.NumPartitions, creation.ReplicationFactor = topic, partitions, 1
	request := kmsg.NewPtrCreateTopicsRequest()
	request.Topics = append(request.Topics, creation)
	response, err := request.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(response.Topics[0].ErrorCode)
}

func newFakeEnv(t *testing.T, options ...kfake.Opt) env {
	f := newFake(t, options...)
	return env{brokers: f.brokers, topic: f.topic, dlq: f.dlq, fake: f}
}

// fakeCluster is a Kafka in process that can be stopped and started at one address.
type fakeCluster struct {
	t          *testing.T
	brokers    []string
	topic, dlq string
	options    []kfake.Opt
	*kfake.Cluster
}

func newFake(t *testing.T, options ...kfake.Opt) *fakeCluster {
	f := &fakeCluster{t: t, topic: "things", dlq: "things-dlq"}
	f.options = append(slices.Clone(options), kfake.DataDir(t.TempDir()), kfake.SeedTopics(partitions, f.topic, f.dlq))
	f.start(kfake.NumBrokers(1))
	f.brokers = f.ListenAddrs()
	t.Cleanup(func() { f.Close() })
	return f
}

func (f *fakeCluster) start(more ...kfake.Opt) {
	f.t.Helper()
	cluster, err := kfake.NewCluster(append(slices.Clone(f.options), more...)...)
	if err != nil {
		f.t.Fatal(err)
	}
	f.Cluster = cluster
}

func (f *fakeCluster) stop() { f.Close() }

// restart starts the Kafka that was stopped, with what it held.
func (f *fakeCluster) restart() {
	f.t.Helper()
	_, port, err := net.SplitHostPort(f.brokers[0])
	if err != nil {
		f.t.Fatal(err)
	}
	number, err := net.LookupPort("tcp", port)
	if err != nil {
		f.t.Fatal(err)
	}
	f.start(kfake.Ports(number))
}

func (w env) config() kafka.Config {
	return kafka.Config{Brokers: w.brokers, ClientID: "test", Partitions: partitions}
}

// groupConfig is for a group of that name among those that read this topic.
func (w env) groupConfig(group string) kafka.GroupConfig {
	return kafka.GroupConfig{Config: w.config(), Group: w.group(group), Topic: w.topic, DLQ: w.dlq}
}

func (w env) group(name string) string { return w.topic + "-" + name }

// send writes records as any other program would, not through this package.
func (w env) send(t *testing.T, records ...*kgo.Record) {
	t.Helper()
	client := w.client(t, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for _, record := range records {
		if record.Topic == "" {
			record.Topic = w.topic
		}
	}
	if err := client.ProduceSync(timeoutContext(t), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// value makes a record for partition 0.
func value(text string) *kgo.Record { return &kgo.Record{Value: []byte(text)} }

// state returns the first count records of the topic; those of a partition in order.
func (w env) read(t *testing.T, topic string, count int) []*kgo.Record {
	t.Helper()
	client := w.client(t, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	var records []*kgo.Record
	for len(records) < count {
		fetched := client.PollFetches(timeoutContext(t))
		if err := fetched.Err(); err != nil {
			t.Fatalf("%d of %d records of %s: %v", len(records), count, topic, err)
		}
		records = append(records, fetched.Records()...)
	}
	if len(records) > count {
		t.Fatalf("%d records in %s, want %d", len(records), topic, count)
	}
	return records
}

// total counts all records ever written to the topic.
func (w env) total(t *testing.T, topic string) (total int64) {
	t.Helper()
	group := kafka.NewGroup(kafka.GroupConfig{Config: w.config(), Topic: topic}, nil, discardLog(), prometheus.NewRegistry())
	ends, err := group.LogEndOffsets(timeoutContext(t))
	if err != nil {
		t.Fatal(err)
	}
	done, cancel := context.WithCancel(context.Background())
	cancel()
	group.Run(done)
	for _, end := range ends {
		total += end
	}
	return total
}

func (w env) client(t *testing.T, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(w.brokers...))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// runningGroup is a group under way.
type runningGroup struct {
	*kafka.Group
	registry *prometheus.Registry
	stop     func() error // ends Run and returns its error
}

func run(t *testing.T, cfg kafka.GroupConfig, handler kafka.Handler) *runningGroup {
	t.Helper()
	return runLogging(t, cfg, handler, logger(t))
}

func runLogging(t *testing.T, cfg kafka.GroupConfig, handler kafka.Handler, log *slog.Logger) *runningGroup {
	t.Helper()
	registry := prometheus.NewRegistry()
	group := kafka.NewGroup(cfg, handler, log, registry)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- group.Run(ctx) }()
	r := &runningGroup{Group: group, registry: registry}
	r.stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(20 * time.Second):
			t.Error("Run did not end")
			return nil
		}
	})
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return r
}

// eventually waits until check is true.
func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	ctx := timeoutContext(t)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !check() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func timeoutContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func discardLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

// logger is silent unless KAFKA_TEST_LOG is set.
func logger(t *testing.T) *slog.Logger {
	if os.Getenv("KAFKA_TEST_LOG") == "" {
		return discardLog()
	}
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}
