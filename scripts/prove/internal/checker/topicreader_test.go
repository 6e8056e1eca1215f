package checker

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kfake"

	"example.com/todo/scripts/prove/internal/history"
)

// onEachKafka runs a test on an in-process Kafka and, if there is one, on a real Kafka.
func onEachKafka(t *testing.T, test func(*testing.T, []string)) {
	t.Run("in process", func(t *testing.T) {
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cluster.Close)
		test(t, cluster.ListenAddrs())
	})
	t.Run("real", func(t *testing.T) {
		addrs := os.Getenv("TEST_KAFKA_BROKERS")
		if addrs == "" && os.Getenv("CI") != "true" {
			t.Skip("TEST_KAFKA_BROKERS is not set: run this under devstack with")
		}
		test(t, strings.Split(addrs, ","))
	})
}

func createTopic(t *testing.T, brokers []string) (name string, client sarama.Client) {
	t.Helper()
	cfg := sarama.NewConfig()
	cfg.Version = sarama.V3_0_0_0
	cfg.Producer.Return.Successes = true
	cfg.Producer.Partitioner = sarama.NewManualPartitioner
	client, err := sarama.NewClient(brokers, cfg)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	name = "checker-" + uuid.NewString()
	appended := "LogAppendTime"
	err = admin.CreateTopic(name, &sarama.TopicDetail{
		NumPartitions: 3, ReplicationFactor: 1, ConfigEntries: map[string]*string{"message.timestamp.type": &appended},
	}, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = admin.DeleteTopic(name)
		_ = admin.Close()
	})
	return name, client
}

func TestReadRecordsReturnsAllRecordsAndKeepsNullValues(t *testing.T) {
	t.Parallel()
	onEachKafka(t, func(t *testing.T, brokers []string) {
		name, client := createTopic(t, brokers)
		producer, err := sarama.NewSyncProducerFromClient(client)
		if err != nil {
			t.Fatal(err)
		}
		defer producer.Close()
		var messages []*sarama.ProducerMessage
		var want []history.Record
		began := time.Now().Add(-time.Minute)
		for i := range 2500 { // the last partition stays empty
			message := &sarama.ProducerMessage{
				Topic: name, Partition: int32(i % 2), Key: sarama.StringEncoder(fmt.Sprint("key", i)), Timestamp: time.Unix(1, 0),
				Headers: []sarama.RecordHeader{{Key: []byte("event-id"), Value: fmt.Append(nil, i)}},
			}
			r := history.Record{Partition: int32(i % 2), Offset: int64(i / 2), Key: fmt.Append(nil, "key", i), Headers: []history.Header{{Key: "event-id", Value: fmt.Sprint(i)}}}
			switch i % 3 {
			case 1:
				message.Value, r.Value = sarama.ByteEncoder{}, []byte{}
			case 2:
				message.Value, r.Value = sarama.StringEncoder("value"), []byte("value")
			}
			messages = append(messages, message)
			want = append(want, r)
		}
		if err := producer.SendMessages(messages); err != nil {
			t.Fatal(err)
		}
		got, err := readRecords(t.Context(), brokers, name)
		if err != nil {
			t.Fatal(err)
		}
		slices.SortStableFunc(want, func(a, b history.Record) int { return int(a.Partition - b.Partition) })
		timed := 0
		for i := range got {
			if got[i].Time.After(began) {
				timed++
			}
			got[i].Time = time.Time{}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if timed != len(want) && t.Name() == "TestReadRecordsReturnsAllRecordsAndKeepsNullValues/real" {
			t.Errorf("%d of %d records have the broker's timestamp", timed, len(want))
		}
	})
}

func TestReadRecordsFailsWithoutABroker(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := readRecords(ctx, []string{"127.0.0.1:1"}, "task-events"); err == nil {
		t.Error("no error without a broker")
	}
}
