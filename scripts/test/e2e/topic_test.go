package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"example.com/todo/scripts/test/topictest"
)

const (
	topic      = "task-events"
	deadLetter = "task-events-dlq"
)

// readUntil waits for n matching records.
func readUntil(t *testing.T, client sarama.Client, topic string, from map[int32]int64, n int, match func(*sarama.ConsumerMessage) bool) []*sarama.ConsumerMessage {
	t.Helper()
	var matching []*sarama.ConsumerMessage
	eventually(t, 30*time.Second, func() error {
		matching = nil
		for _, record := range topictest.Read(t, client, topic, from) {
			if match(record) {
				matching = append(matching, record)
			}
		}
		if len(matching) < n {
			return fmt.Errorf("%d of %d records in %s", len(matching), n, topic)
		}
		return nil
	})
	return matching
}

// send produces one record, as another producer would.
func send(t *testing.T, client sarama.Client, key string, value sarama.Encoder, headers ...sarama.RecordHeader) (partition int32, offset int64) {
	t.Helper()
	producer, err := sarama.NewSyncProducerFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	partition, offset, err = producer.SendMessage(&sarama.ProducerMessage{
		Topic: topic, Key: sarama.StringEncoder(key), Value: value, Headers: headers,
	})
	if err != nil {
		t.Fatal(err)
	}
	return partition, offset
}

// consumed waits until a group has committed the current end of every partition.
func consumed(t *testing.T, client sarama.Client, group string) {
	t.Helper()
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	want := topictest.EndOffsets(t, client, topic)
	partitions := make([]int32, 0, len(want))
	for p := range want {
		partitions = append(partitions, p)
	}
	eventually(t, 30*time.Second, func() error {
		offsets, err := admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: partitions})
		if err != nil {
			return err
		}
		for p, end := range want {
			block := offsets.GetBlock(topic, p)
			if block == nil || (end > 0 && block.Offset < end) {
				return fmt.Errorf("group %s has not reached %d of partition %d", group, end, p)
			}
		}
		return nil
	})
}

func headerOf(record *sarama.ConsumerMessage, key string) string {
	for _, h := range record.Headers {
		if string(h.Key) == key {
			return string(h.Value)
		}
	}
	return ""
}

func withKey(key string) func(*sarama.ConsumerMessage) bool {
	return func(record *sarama.ConsumerMessage) bool { return string(record.Key) == key }
}
