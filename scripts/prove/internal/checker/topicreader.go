package checker

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/IBM/sarama"

	"example.com/todo/scripts/prove/internal/history"
)

// readRecords reads a whole topic, from its beginning to its end at the time of the call.
func readRecords(ctx context.Context, brokers []string, topic string) ([]history.Record, error) {
	cfg := sarama.NewConfig()
	cfg.Version = sarama.V3_0_0_0
	cfg.ChannelBufferSize = 4096
	cfg.Consumer.Fetch.Default = 4 << 20
	cfg.Consumer.Return.Errors = true
	client, err := sarama.NewClient(brokers, cfg)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	partitions, err := client.Partitions(topic)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", topic, err)
	}
	slices.Sort(partitions)
	var all []history.Record
	for _, partition := range partitions {
		end, err := client.GetOffset(topic, partition, sarama.OffsetNewest)
		if err == nil {
			all, err = readPartition(ctx, consumer, topic, partition, end, all)
		}
		if err != nil {
			return nil, fmt.Errorf("%s/%d: %w", topic, partition, err)
		}
	}
	return all, nil
}

// readPartition appends the records of one partition before offset end.
func readPartition(ctx context.Context, consumer sarama.Consumer, topic string, partition int32, end int64, all []history.Record) ([]history.Record, error) {
	if end == 0 {
		return all, nil
	}
	claim, err := consumer.ConsumePartition(topic, partition, 0)
	if err != nil {
		return nil, err
	}
	defer claim.AsyncClose()
	for next := int64(0); next < end; {
		select {
		case message := <-claim.Messages():
			all = append(all, toRecord(message))
			next = message.Offset + 1
		case err := <-claim.Errors():
			return nil, err
		case <-ctx.Done():
			return nil, fmt.Errorf("read to %d of %d: %w", next, end, context.Cause(ctx))
		}
	}
	return all, nil
}

// toRecord copies the key and value, which share the buffer of a whole response.
func toRecord(message *sarama.ConsumerMessage) history.Record {
	r := history.Record{
		Partition: message.Partition, Offset: message.Offset, Time: message.Timestamp,
		Key: bytes.Clone(message.Key), Value: bytes.Clone(message.Value),
	}
	for _, h := range message.Headers {
		r.Headers = append(r.Headers, history.Header{Key: string(h.Key), Value: string(h.Value)})
	}
	return r
}
