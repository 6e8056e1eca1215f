// Package brokertest is the fixture of the Kafka packages' tests: a topic of the test's
// own on a fake broker and on a real one, and helpers that speak to the broker through
// another client than the one under test.
package brokertest

import (
	"context"
	"crypto/rand"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"example.com/todo/platform/config"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/testenv"
)

// Partitions is how many partitions each topic has.
const Partitions = 3

// Env is a broker with a topic and a dead-letter topic of the test's own.
type Env struct {
	Brokers    []string
	Topic, DLQ string
	Fake       *FakeCluster // nil for a real Kafka
}

// OnEachBroker runs the test on a fake broker in the process, and on the real one at
// TEST_KAFKA_BROKERS, if that is set.
func OnEachBroker(t *testing.T, test func(t *testing.T, w Env)) {
	t.Run("in process", func(t *testing.T) {
		t.Parallel()
		test(t, NewFakeEnv(t))
	})
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		test(t, newRealEnv(t))
	})
}

func newRealEnv(t *testing.T) Env {
	brokers := strings.Split(testenv.RequireEnv(t, "TEST_KAFKA_BROKERS"), ",")
	name := "test-" + strings.ToLower(rand.Text()[:12])
	w := Env{Brokers: brokers, Topic: name, DLQ: name + "-dlq"}
	admin := w.Admin(t)
	for _, topic := range []string{w.Topic, w.DLQ} {
		if _, err := admin.CreateTopic(TimeoutContext(t), Partitions, 1, nil, topic); err != nil {
			t.Fatalf("create %s: %v", topic, err)
		}
	}
	t.Cleanup(func() { _, _ = admin.DeleteTopics(context.Background(), w.Topic, w.DLQ) })
	return w
}

// NewFakeEnv returns an Env of a fake broker.
func NewFakeEnv(t *testing.T, options ...kfake.Opt) Env {
	w := Env{Topic: "things", DLQ: "things-dlq"}
	w.Fake = &FakeCluster{t: t, options: append(slices.Clone(options),
		kfake.NumBrokers(1), kfake.DataDir(t.TempDir()), kfake.SeedTopics(Partitions, w.Topic, w.DLQ))}
	w.Fake.Start()
	t.Cleanup(func() { w.Fake.Close() })
	w.Brokers = w.Fake.ListenAddrs()
	port := netip.MustParseAddrPort(w.Brokers[0]).Port()
	w.Fake.options = append(w.Fake.options, kfake.Ports(int(port))) // when it is started again
	return w
}

// FakeCluster is a fake broker that can be stopped and started again at its address.
type FakeCluster struct {
	*kfake.Cluster
	t       *testing.T
	options []kfake.Opt
}

// Start starts the broker, with the records that it had when it was stopped.
func (f *FakeCluster) Start() {
	f.t.Helper()
	cluster, err := kfake.NewCluster(f.options...)
	if err != nil {
		f.t.Fatal(err)
	}
	f.Cluster = cluster
}

// Stop stops the broker. It keeps its records.
func (f *FakeCluster) Stop() { f.Close() }

// Config is the configuration of a client of the broker.
func (w Env) Config() kafka.Config {
	return kafka.Config{Brokers: w.Brokers, ClientID: "test", Partitions: Partitions, Sources: config.Sources{Section: "kafka"}}
}

// Group is the name of a consumer group that no other test uses.
func (w Env) Group(name string) string { return w.Topic + "-" + name }

// Send writes records through another client than the one under test.
func (w Env) Send(t *testing.T, records ...*kgo.Record) {
	t.Helper()
	client := w.Client(t, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for _, record := range records {
		if record.Topic == "" {
			record.Topic = w.Topic
		}
	}
	if err := client.ProduceSync(TimeoutContext(t), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// Value returns a record for partition 0.
func Value(text string) *kgo.Record { return &kgo.Record{Value: []byte(text)} }

// Read returns the topic's records, those of a partition in order. It fails the test if
// there are more than count.
func (w Env) Read(t *testing.T, topic string, count int) []*kgo.Record {
	t.Helper()
	client := w.Client(t, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	var records []*kgo.Record
	for len(records) < count {
		fetched := client.PollFetches(TimeoutContext(t))
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

// Ends returns the ends of the partitions' logs, read uncommitted.
func (w Env) Ends(t *testing.T, topic string) map[int32]int64 {
	t.Helper()
	listed, err := w.Admin(t).ListEndOffsets(TimeoutContext(t), topic)
	if err = errors.Join(err, listed.Error()); err != nil {
		t.Fatal(err)
	}
	ends := make(map[int32]int64)
	listed.Each(func(end kadm.ListedOffset) { ends[end.Partition] = end.Offset })
	return ends
}

// Total is the number of all records ever written to the topic.
func (w Env) Total(t *testing.T, topic string) (total int64) {
	t.Helper()
	for _, end := range w.Ends(t, topic) {
		total += end
	}
	return total
}

// Client returns another client than the one under test.
func (w Env) Client(t *testing.T, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(w.Brokers...))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// TimeoutContext ends after 40 s.
func TimeoutContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// Admin returns a client for the broker's topics and groups.
func (w Env) Admin(t *testing.T) *kadm.Client {
	t.Helper()
	return kadm.NewClient(w.Client(t))
}

// Recreate deletes the topic and creates it again under its name. The broker then knows the new one.
func (w Env) Recreate(t *testing.T) {
	t.Helper()
	admin := w.Admin(t)
	if _, err := admin.DeleteTopic(TimeoutContext(t), w.Topic); err != nil {
		t.Fatal(err)
	}
	var created kadm.CreateTopicResponse
	testenv.Eventually(t, "the topic to be created again", func() bool {
		var err error
		created, err = admin.CreateTopic(TimeoutContext(t), Partitions, 1, nil, w.Topic)
		return err == nil
	})
	// The controller has created the topic. Until the broker follows, it may name the deleted one to a producer.
	testenv.Eventually(t, "the broker to know the new topic", func() bool {
		topics, err := admin.ListTopics(TimeoutContext(t), w.Topic)
		return err == nil && topics.Error() == nil && topics[w.Topic].ID == created.ID
	})
}

// DeleteBelow moves the starts of partitions' logs, as retention does.
func (w Env) DeleteBelow(t *testing.T, offsets map[int32]int64) {
	t.Helper()
	below := make(kadm.Offsets)
	for partition, offset := range offsets {
		below.AddOffset(w.Topic, partition, offset, -1)
	}
	deleted, err := w.Admin(t).DeleteRecords(TimeoutContext(t), below)
	if err = errors.Join(err, deleted.Error()); err != nil {
		t.Fatal(err)
	}
}

// Freeze makes the broker respond to no request any more.
func (f *FakeCluster) Freeze() {
	f.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		return nil, nil, true
	})
}
