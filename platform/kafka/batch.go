package kafka

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// How large a batch for one partition and a request for several may grow. A
// broker takes batches of 1 MiB by default; a record larger than maxBatchBytes
// goes alone, and the topic's own limit decides.
const (
	maxBatchBytes     = 1_000_000
	maxRequestBytes   = 32 << 20
	batchHeaderBytes  = 61 // bytes of a batch without its records
	maxRecordOverhead = 36 // most bytes of a record without its contents
	maxHeaderOverhead = 10 // most bytes of a header without its contents
)

// ackTimeout is how long a broker waits for the other replicas.
const ackTimeout = 10 * time.Second

// position is a partition of a topic.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// producerID is what makes a repeated batch recognisable: the id that Kafka gave,
// and the number of the next record to each partition.
type producerID struct {
	id           int64
	epoch        int16
	nextSequence map[TopicPartition]int32
}

func requestProducerID(client sarama.Client) (*producerID, error) {
	broker := client.LeastLoadedBroker()
	if broker == nil {
		return nil, sarama.ErrOutOfBrokers
	}
	response, err := broker.InitProducerID(&sarama.InitProducerIDRequest{Version: 4, ProducerID: -1, ProducerEpoch: -1})
	if err != nil {
		return nil, fmt.Errorf("ask for a producer id: %w", err)
	}
	if response.Err != sarama.ErrNoError {
		return nil, fmt.Errorf("ask for a producer id: %w", response.Err)
	}
	return &producerID{id: response.ProducerID, epoch: response.ProducerEpoch, nextSequence: make(map[TopicPartition]int32)}, nil
}

// advance moves the numbers on; after the largest comes 0.
func (i *producerID) advance(at TopicPartition, records int) {
	i.nextSequence[at] = int32((uint32(i.nextSequence[at]) + uint32(records)) & 0x7fffffff)
}

// accumulator are the records still to be sent, in order, by partition.
type accumulator map[TopicPartition][]Record

func accumulate(client sarama.Client, partitioner sarama.Partitioner, records []Record) (accumulator, error) {
	sorted := make(accumulator)
	for _, record := range records {
		partitions, err := client.Partitions(record.Topic)
		if err != nil {
			return nil, err
		}
		chosen, err := choosePartition(partitioner, record.Key, len(partitions))
		if err != nil {
			return nil, err
		}
		at := TopicPartition{record.Topic, partitions[chosen]}
		sorted[at] = append(sorted[at], record)
	}
	return sorted, nil
}

// newPartitioner is fixed for ever: were it another, one key's records would be
// in two partitions and lose their order.
func newPartitioner() sarama.Partitioner { return sarama.NewMurmur2Partitioner("") }

func choosePartition(partitioner sarama.Partitioner, key []byte, partitions int) (int32, error) {
	message := &sarama.ProducerMessage{}
	if key != nil {
		message.Key = sarama.ByteEncoder(key)
	}
	return partitioner.Partition(message, int32(partitions))
}

// nextBatch counts the records of the queue that fit into one batch: at least one.
func nextBatch(queue []Record) (records, size int) {
	size = batchHeaderBytes
	for _, record := range queue {
		more := weight(record)
		if records > 0 && size+more > maxBatchBytes {
			break
		}
		records++
		size += more
	}
	return records, size
}

// weight is the most bytes that the record takes in a batch.
func weight(record Record) int {
	bytes := maxRecordOverhead + len(record.Key) + len(record.Value)
	for _, header := range record.Headers {
		bytes += maxHeaderOverhead + len(header.Key) + len(header.Value)
	}
	return bytes
}

// produceRequest is one request to one broker, and how many records of each partition it holds.
type produceRequest struct {
	request      *sarama.ProduceRequest
	recordCounts map[TopicPartition]int
}

// sendNextBatches sends the first batch of each queue, all brokers at once, and takes
// the acknowledged ones off their queues.
func (p *Producer) sendNextBatches(waiting accumulator) error {
	shipments, err := p.buildRequests(waiting)
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	responses := make(chan func() error, len(shipments))
	for broker, shipment := range shipments {
		group.Go(func() {
			response, err := broker.Produce(shipment.request)
			responses <- func() error { return p.applyResponse(waiting, shipment, response, err) }
		})
	}
	group.Wait()
	close(responses)
	var failures []error
	for settle := range responses {
		failures = append(failures, settle())
	}
	return errors.Join(failures...)
}

func (p *Producer) buildRequests(waiting accumulator) (map[*sarama.Broker]produceRequest, error) {
	shipments := make(map[*sarama.Broker]produceRequest)
	total := 0
	for at, queue := range waiting {
		records, size := nextBatch(queue)
		if total += size; total > maxRequestBytes && len(shipments) > 0 {
			break
		}
		broker, err := p.conn.Leader(at.Topic, at.Partition)
		if err != nil {
			return nil, err
		}
		load, ok := shipments[broker]
		if !ok {
			load = produceRequest{request: newSaramaRequest(), recordCounts: make(map[TopicPartition]int)}
			shipments[broker] = load
		}
		load.request.AddBatch(at.Topic, at.Partition, p.buildBatch(at, queue[:records]))
		load.recordCounts[at] = records
	}
	return shipments, nil
}

// applyResponse takes what was acknowledged off the queues; the error joins the refusals.
func (p *Producer) applyResponse(waiting accumulator, sent produceRequest, response *sarama.ProduceResponse, err error) error {
	if err != nil {
		return err
	}
	var failures []error
	for at, records := range sent.recordCounts {
		block := response.GetBlock(at.Topic, at.Partition)
		switch {
		case block == nil:
			failures = append(failures, sarama.ErrIncompleteResponse)
		case block.Err == sarama.ErrNoError, block.Err == sarama.ErrDuplicateSequenceNumber:
			p.id.advance(at, records)
			if waiting[at] = waiting[at][records:]; len(waiting[at]) == 0 {
				delete(waiting, at)
			}
		default:
			failures = append(failures, fmt.Errorf("topic %s, partition %d: %w", at.Topic, at.Partition, block.Err))
		}
	}
	return errors.Join(failures...)
}

func newSaramaRequest() *sarama.ProduceRequest {
	return &sarama.ProduceRequest{
		Version:      9, // Kafka 2.8
		RequiredAcks: sarama.WaitForAll,
		Timeout:      int32(ackTimeout / time.Millisecond),
	}
}

func (p *Producer) buildBatch(at TopicPartition, records []Record) *sarama.RecordBatch {
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
		sent := &sarama.Record{
			Key:            record.Key,
			Value:          record.Value,
			OffsetDelta:    int64(i),
			TimestampDelta: written.Sub(batch.FirstTimestamp),
		}
		for _, header := range record.Headers {
			sent.Headers = append(sent.Headers, &sarama.RecordHeader{Key: []byte(header.Key), Value: []byte(header.Value)})
		}
		batch.Records[i] = sent
	}
	return batch
}
