package producer

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/internal/client"
)

const (
	// maxBatchBytes bounds one partition's batch: a broker accepts 1 MiB by default. A
	// record that is larger goes alone, and the topic's own limit decides.
	maxBatchBytes = 1_000_000
	// maxRequestBytes bounds the batches of all partitions that one round sends.
	maxRequestBytes = 32 << 20
	// batchHeaderBytes is the size of a batch without its records.
	batchHeaderBytes = 61
	// ackTimeout is how long a broker waits for the other replicas.
	ackTimeout = 10 * time.Second
)

// accumulator has the records that are not acknowledged yet, in order, by partition.
type accumulator map[kafka.TopicPartition][]kafka.Record

func accumulate(client sarama.Client, partitioner sarama.Partitioner, records []kafka.Record) (accumulator, error) {
	pending := make(accumulator)
	for _, record := range records {
		partitions, err := client.Partitions(record.Topic)
		if err != nil {
			return nil, err
		}
		chosen, err := choosePartition(partitioner, record.Key, len(partitions))
		if err != nil {
			return nil, err
		}
		at := kafka.TopicPartition{Topic: record.Topic, Partition: partitions[chosen]}
		pending[at] = append(pending[at], record)
	}
	return pending, nil
}

// newPartitioner must never change: with another one, a key's records would be in two
// partitions and lose their order.
func newPartitioner() sarama.Partitioner { return sarama.NewMurmur2Partitioner("") }

func choosePartition(partitioner sarama.Partitioner, key []byte, partitions int) (int32, error) {
	message := &sarama.ProducerMessage{}
	if key != nil {
		message.Key = sarama.ByteEncoder(key)
	}
	return partitioner.Partition(message, int32(partitions))
}

// nextBatch counts the records of the queue that fit into one batch: at least one.
func nextBatch(queue []kafka.Record) (records, size int) {
	size = batchHeaderBytes
	for _, record := range queue {
		more := record.EncodedSize()
		if records > 0 && size+more > maxBatchBytes {
			break
		}
		records++
		size += more
	}
	return records, size
}

// produceRequest is a request to one broker, with the number of records by partition.
type produceRequest struct {
	request      *sarama.ProduceRequest
	recordCounts map[kafka.TopicPartition]int
}

// sendNextBatches sends the first batch of each partition, to all brokers at once, and
// removes the acknowledged records from pending.
func (p *Producer) sendNextBatches(c *client.Client, pending accumulator) error {
	requests, err := p.buildRequests(c, pending)
	if err != nil {
		return err
	}
	var senders sync.WaitGroup
	var mu sync.Mutex // of the producer's state
	var failures []error
	for broker, sent := range requests {
		senders.Go(func() {
			response, err := broker.Produce(sent.request)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				err = p.applyResponse(pending, sent, response)
			}
			failures = append(failures, err)
		})
	}
	senders.Wait()
	return errors.Join(failures...)
}

func (p *Producer) buildRequests(c *client.Client, pending accumulator) (map[*sarama.Broker]produceRequest, error) {
	requests := make(map[*sarama.Broker]produceRequest)
	total := 0
	for at, queue := range pending {
		records, size := nextBatch(queue)
		if total += size; total > maxRequestBytes && len(requests) > 0 {
			break
		}
		leader, err := c.Leader(at.Topic, at.Partition)
		if err != nil {
			return nil, err
		}
		request, ok := requests[leader]
		if !ok {
			request = produceRequest{
				request: &sarama.ProduceRequest{
					Version:      9, // Kafka 2.8
					RequiredAcks: sarama.WaitForAll,
					Timeout:      int32(ackTimeout / time.Millisecond),
				},
				recordCounts: make(map[kafka.TopicPartition]int),
			}
			requests[leader] = request
		}
		request.request.AddBatch(at.Topic, at.Partition, p.buildBatch(at, queue[:records]))
		request.recordCounts[at] = records
	}
	return requests, nil
}

// applyResponse removes the acknowledged records from pending. The error joins the
// refusals.
func (p *Producer) applyResponse(pending accumulator, sent produceRequest, response *sarama.ProduceResponse) error {
	var failures []error
	for at, records := range sent.recordCounts {
		block := response.GetBlock(at.Topic, at.Partition)
		switch {
		case block == nil:
			failures = append(failures, sarama.ErrIncompleteResponse)
		// A duplicate was written before: its acknowledgement was lost.
		case block.Err == sarama.ErrNoError, block.Err == sarama.ErrDuplicateSequenceNumber:
			p.id.advance(at, records)
			if pending[at] = pending[at][records:]; len(pending[at]) == 0 {
				delete(pending, at)
			}
		default:
			failures = append(failures, fmt.Errorf("topic %s, partition %d: %w", at.Topic, at.Partition, block.Err))
		}
	}
	return errors.Join(failures...)
}

func (p *Producer) buildBatch(at kafka.TopicPartition, records []kafka.Record) *sarama.RecordBatch {
	now := time.Now()
	batch := &sarama.RecordBatch{
		Version:         2,
		Codec:           p.codec,
		LastOffsetDelta: int32(len(records) - 1),
		ProducerID:      p.id.id,
		ProducerEpoch:   p.id.epoch,
		FirstSequence:   p.id.nextSequence[at],
		Records:         make([]*sarama.Record, len(records)),
	}
	for i, record := range records {
		written := record.Time
		if written.IsZero() {
			written = now
		}
		written = written.Truncate(time.Millisecond)
		if i == 0 {
			batch.FirstTimestamp, batch.MaxTimestamp = written, written
		}
		if written.After(batch.MaxTimestamp) {
			batch.MaxTimestamp = written
		}
		encoded := &sarama.Record{
			Key:            record.Key,
			Value:          record.Value,
			OffsetDelta:    int64(i),
			TimestampDelta: written.Sub(batch.FirstTimestamp),
		}
		for _, header := range record.Headers {
			encoded.Headers = append(encoded.Headers, &sarama.RecordHeader{Key: []byte(header.Key), Value: []byte(header.Value)})
		}
		batch.Records[i] = encoded
	}
	return batch
}
