package server

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/testenv"
	"example.com/todo/scripts/internal/port"
)

// embedded runs an embedded Kafka until the test ends or stop is called, and returns its address.
func embedded(t *testing.T, dir string) (addr string, stop func()) {
	t.Helper()
	free, err := port.Reserve(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(free.Close)
	addr = port.Addr(free.Ports[0])
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- runEmbeddedKafka(ctx, addr, dir)
		close(ended)
	}()
	stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the broker ended with %v", err)
		}
	}
	t.Cleanup(stop)
	testenv.Eventually(t, "the broker", func() bool { return KafkaClient{Addr: addr}.check(t.Context()) == nil })
	return addr, stop
}

func TestEmbeddedKafkaKeepsAcknowledgedRecords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	addr, stop := embedded(t, dir)
	if err := (KafkaClient{Addr: addr}).EnsureTopics(t.Context(), Topic{Name: "events", Partitions: 1, MaxBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	config := sarama.NewConfig()
	config.Producer.Return.Successes = true
	producer, err := sarama.NewSyncProducer([]string{addr}, config)
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"one", "two"} {
		_, _, err := producer.SendMessage(&sarama.ProducerMessage{
			Topic: "events", Key: sarama.StringEncoder("task-1"), Value: sarama.StringEncoder(value),
			Headers: []sarama.RecordHeader{{Key: []byte("event-type"), Value: []byte("task.created")}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	producer.Close()
	stop()

	addr, _ = embedded(t, dir)
	var got []string
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err = KafkaClient{Addr: addr}.TailTopic(ctx, "events", func(record string) error {
		if got = append(got, record); len(got) == 2 {
			cancel()
		}
		return nil
	})
	want := []string{"0/0 task-1 event-type=task.created\none\n", "0/1 task-1 event-type=task.created\ntwo\n"}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v; after a restart (-want +got):\n%s", err, diff)
	}
	left := errors.New("the reader left")
	if err := (KafkaClient{Addr: addr}).TailTopic(t.Context(), "events", func(string) error { return left }); !errors.Is(err, left) {
		t.Errorf("Tail goes on without a reader: %v", err)
	}
}

func TestEnsureTopicsSetsNoRetentionAndRejectsAnotherPartitionCount(t *testing.T) {
	t.Parallel()
	addr, _ := embedded(t, t.TempDir())
	topic := Topic{Name: "events", Partitions: 6, MaxBytes: 1 << 20}
	for range 2 {
		if err := (KafkaClient{Addr: addr}).EnsureTopics(t.Context(), topic); err != nil {
			t.Fatal(err)
		}
	}
	admin, err := sarama.NewClusterAdmin([]string{addr}, sarama.NewConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	described, err := admin.DescribeConfigs([]*sarama.ConfigResource{{
		Type: sarama.TopicResource, Name: "events", ConfigNames: []string{"retention.ms", "max.message.bytes"},
	}}, sarama.DescribeConfigsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, e := range described[0].Configs {
		got[e.Name] = e.Value
	}
	if diff := cmp.Diff(map[string]string{"retention.ms": "-1", "max.message.bytes": "1048576"}, got); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	topic.Partitions = 12
	if err := (KafkaClient{Addr: addr}).EnsureTopics(t.Context(), topic); err == nil || !strings.Contains(err.Error(), "has 6 partitions and KAFKA_PARTITIONS is 12") {
		t.Errorf("with another number of partitions: %v", err)
	}
}

func TestFormatRecordIsPrintableAndBounded(t *testing.T) {
	t.Parallel()
	const evil = "\x1b]52;c;cHduZWQ=\x1b\\\n0/7 forged\u202e\u2028\xff"
	header := &sarama.RecordHeader{Key: []byte("h" + evil), Value: []byte(evil)}
	shown := formatRecord(&sarama.ConsumerMessage{Key: []byte(evil), Value: []byte(evil), Headers: []*sarama.RecordHeader{header}})
	const safe = `\x1b]52;c;cHduZWQ=\x1b\\n0/7 forged\u202e\u2028\xff`
	if diff := cmp.Diff("0/0 "+safe+" h"+safe+"="+safe+"\n"+safe+"\n", shown); diff != "" {
		t.Errorf("shown (-want +got):\n%s", diff)
	}
	long := bytes.Repeat([]byte(evil), 20_000)
	many := slices.Repeat([]*sarama.RecordHeader{{Key: long, Value: long}}, 100)
	if shown := formatRecord(&sarama.ConsumerMessage{Key: long, Value: long, Headers: many}); len(shown) > 8<<10 {
		t.Errorf("a record of %d bytes is shown in %d", len(long), len(shown))
	}
	title := strings.Repeat("学", 500)
	event := `{"type":"task.completed","task_id":1,"task_title":"` + title + `","task":{"id":1,"title":"` + title + `"}}`
	if shown := formatRecord(&sarama.ConsumerMessage{Value: []byte(event)}); !strings.HasSuffix(shown, "\n"+event+"\n") {
		t.Errorf("the event of a long title is shown as %s", shown)
	}
}
