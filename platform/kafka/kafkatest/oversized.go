package kafkatest

import (
	"bytes"
	"context"

	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/todo/platform/kafka/kafkatest/onebatch"
)

// SendOversizedBatch writes one batch that exceeds a reader's bound when it is decompressed. It returns
// the number of its records.
func (e Env) SendOversizedBatch() (records int) {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.Context(), timeout)
	defer cancel()
	partition := kgo.StickyKeyPartitioner(nil).ForTopic(e.Topic).Partition(&kgo.Record{Key: []byte("task-1")}, partitions)
	batch := make([]*kgo.Record, 80)
	value := bytes.Repeat([]byte("b"), 900_000)
	for i := range batch {
		batch[i] = &kgo.Record{Topic: e.Topic, Partition: int32(partition), Key: []byte("task-1"), Value: value}
	}
	if err := onebatch.Send(ctx, []kgo.Opt{kgo.SeedBrokers(e.Kafka.Brokers...)}, kgo.GzipCompression(), batch...); err != nil {
		e.Fatal(err)
	}
	return len(batch)
}
