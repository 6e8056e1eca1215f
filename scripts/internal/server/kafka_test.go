package server

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/go-cmp/cmp"

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
		ended <- RunEmbeddedKafka(ctx, addr, dir)
		close(ended)
	}()
	stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the broker ended with %v", err)
		}
	}
	t.Cleanup(stop)
	limit, cancelLimit := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancelLimit()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for (kafka{addr}).Ready(limit) != nil {
		select {
		case <-again.C:
		case <-limit.Done():
			t.Fatal("the broker is not ready")
		}
	}
	return addr, stop
}

func TestTheEmbeddedKafkaKeepsWhatItAcknowledged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	addr, stop := embedded(t, dir)
	if err := EnsureTopics(t.Context(), addr, Topic{Name: "events", Partitions: 1, MaxBytes: 1 << 20}); err != nil {
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
	err = Tail(ctx, addr, "events", func(record string) {
		if got = append(got, record); len(got) == 2 {
			cancel()
		}
	})
	want := []string{"0/0 task-1 event-type=task.created\none\n", "0/1 task-1 event-type=task.created\ntwo\n"}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v; after a restart (-want +got):\n%s", err, diff)
	}
}

func TestAClusterIDIsNoOptionOfTheCommandLine(t *testing.T) {
	t.Parallel()
	for range 1000 {
		if id := clusterID(); len(id) != 22 || id[0] == '-' {
			t.Fatalf("drew %q", id)
		}
	}
}

func TestTopicsKeepEverythingAndTheirPartitions(t *testing.T) {
	t.Parallel()
	addr, _ := embedded(t, t.TempDir())
	topic := Topic{Name: "events", Partitions: 6, MaxBytes: 1 << 20}
	for range 2 {
		if err := EnsureTopics(t.Context(), addr, topic); err != nil {
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
	if err := EnsureTopics(t.Context(), addr, topic); err == nil || !strings.Contains(err.Error(), "has 6 partitions and KAFKA_PARTITIONS is 12") {
		t.Errorf("with another number of partitions: %v", err)
	}
}
