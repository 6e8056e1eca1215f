package kafkatest

import (
	"bytes"
	"context"

	"github.com/twmb/franz-go/pkg/kgo"
)

// SendOversizedBatch writes to the topic one batch that unpacks to more than a reader
// takes, and returns how many records it has.
func (w Env) SendOversizedBatch() (records int) {
	w.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.Kafka.Brokers...), kgo.DefaultProduceTopic(w.Topic),
		kgo.ProducerBatchCompression(kgo.GzipCompression()), kgo.ProducerBatchMaxBytes(1<<30),
		kgo.BrokerMaxWriteBytes(1<<30), kgo.ManualFlushing(), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)))
	if err != nil {
		w.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(w.Context(), timeout)
	defer cancel()
	var failed error
	value := bytes.Repeat([]byte("b"), 900_000)
	const count = 80
	for range count {
		client.Produce(ctx, &kgo.Record{Key: []byte("task-1"), Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed = err
			}
		})
	}
	if err := client.Flush(ctx); err != nil || failed != nil {
		w.Fatal(err, failed)
	}
	return count
}
