package kafkatest

import (
	"bytes"
	"context"

	"github.com/twmb/franz-go/pkg/kgo"
)

// SendOversizedBatch writes one batch that exceeds a reader's bound when it is decompressed. It returns
// the number of its records.
func (e Env) SendOversizedBatch() (records int) {
	e.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(e.Kafka.Brokers...), kgo.DefaultProduceTopic(e.Topic),
		kgo.ProducerBatchCompression(kgo.GzipCompression()), kgo.ProducerBatchMaxBytes(1<<30),
		kgo.BrokerMaxWriteBytes(1<<30), kgo.ManualFlushing(), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)))
	if err != nil {
		e.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(e.Context(), timeout)
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
		e.Fatal(err, failed)
	}
	return count
}
