// Package onebatch writes records to Kafka as a single batch.
package onebatch

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Send writes the records as one batch of any size to the topic and the partition
// that each of them names, and sets their offsets. The options are those of the
// client; they say where the brokers are.
func Send(ctx context.Context, options []kgo.Opt, codec kgo.CompressionCodec, records ...*kgo.Record) error {
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(codec),
		kgo.ProducerBatchMaxBytes(1 << 30), kgo.BrokerMaxWriteBytes(1 << 30), kgo.ManualFlushing(),
	}, options...)...)
	if err != nil {
		return err
	}
	defer client.Close()
	// When kgo learns of a topic while it flushes, it may send the first records before
	// it has batched all of them. This record has it learn of the topic, and then fails.
	nowhere := &kgo.Record{Topic: records[0].Topic, Partition: -1}
	client.ProduceSync(ctx, nowhere)
	var failed error
	for _, record := range records {
		client.Produce(ctx, record, func(_ *kgo.Record, err error) { failed = errors.Join(failed, err) })
	}
	return errors.Join(client.Flush(ctx), failed)
}
