// Package topictest reads the topics of a system under test.
package topictest

import (
	"errors"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"example.com/todo/platform/testenv"
)

const (
	leaderTimeout = 30 * time.Second
	recordTimeout = 10 * time.Second
)

// EndOffsets returns the log-end offset of every partition. It retries, because a restarted broker leads its
// partitions only after a moment.
func EndOffsets(t *testing.T, client sarama.Client, topic string) map[int32]int64 {
	t.Helper()
	ends := map[int32]int64{}
	testenv.EventuallyWithin(t, leaderTimeout, "a leader for each partition of "+topic, func() bool {
		partitions, failed := client.Partitions(topic)
		for _, p := range partitions {
			end, err := client.GetOffset(topic, p, sarama.OffsetNewest)
			ends[p], failed = end, errors.Join(failed, err)
		}
		return failed == nil
	})
	return ends
}

// Read returns the records of a topic from the given offsets to the current end.
func Read(t *testing.T, client sarama.Client, topic string, from map[int32]int64) (records []*sarama.ConsumerMessage) {
	t.Helper()
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close()
	for p, end := range EndOffsets(t, client, topic) {
		if from[p] >= end {
			continue
		}
		claim, err := consumer.ConsumePartition(topic, p, from[p])
		if err != nil {
			t.Fatal(err)
		}
		for next := from[p]; next < end; {
			select {
			case record := <-claim.Messages():
				records = append(records, record)
				next = record.Offset + 1
			case <-time.After(recordTimeout):
				t.Fatalf("%s/%d: no record at %d", topic, p, next)
			}
		}
		_ = claim.Close()
	}
	return records
}
