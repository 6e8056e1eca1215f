package kafkatest

import (
	"bytes"
	"context"

	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/todo/platform/kafka/kafkatest/onebatch"
)

// SendTooLarge writes to the topic one batch that unpacks to more than a reader
// takes, and returns how many records it has.
func (w Env) SendTooLarge() (records int) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	partition := kgo.StickyKeyPartitioner(nil).ForTopic(w.Topic).Partition(&kgo.Record{Key: []byte("task-1")}, partitions)
	batch := make([]*kgo.Record, 80)
	value := bytes.Repeat([]byte("b"), 900_000)
	for i := range batch {
		batch[i] = &kgo.Record{Topic: w.Topic, Partition: int32(partition), Key: []byte("task-1"), Value: value}
	}
	if err := onebatch.Send(ctx, []kgo.Opt{kgo.SeedBrokers(w.Kafka.Brokers...)}, kgo.GzipCompression(), batch...); err != nil {
		w.Fatal(err)
	}
	return len(batch)
}
