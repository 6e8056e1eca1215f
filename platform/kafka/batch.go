package kafka

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// How large a batch for one partition and a request for several may grow. A
// broker takes batches of 1 MiB by default; a record larger than batchBytes
// goes alone, and the topic's own limit decides.
const (
	batchBytes   = 1_000_000
	requestBytes = 32 << 20
	batchFrame   = 61 // bytes of a batch without its records
	recordFrame  = 36 // most bytes of a record without its contents
	headerFrame  = 10 // most bytes of a header without its contents
)

// ackTimeout is how long a broker waits for the other replicas.
const ackTimeout = 10 * time.Second

// place is a partition of a topic.
type place struct {
	topic     string
	partition int32
}

// identity is what makes a repeated batch recognisable: the id that Kafka gave,
// and the number of the next record to each partition.
type identity struct {
	id    int64
	epoch int16
	next  map[place]int32
}

func newIdentity(client sarama.Client) (*identity, error) {
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
	return &identity{id: response.ProducerID, epoch: response.ProducerEpoch, next: make(map[place]int32)}, nil
}

// acknowledged moves the numbers on; after the largest comes 0.
func (i *identity) acknowledged(at place, records int) {
	i.next[at] = int32((uint32(i.next[at]) + uint32(records)) & 0x7fffffff)
}

// queues are the records still to be sent, in order, by partition.
type queues map[place][]Record

func sortIntoQueues(client sarama.Client, partitioner sarama.Partitioner, records []Record) (queues, error) {
	sorted := make(queues)
	for _, record := range records {
		partitions, err := client.Partitions(record.Topic)
		if err != nil {
			return nil, err
		}
		chosen, err := choose(partitioner, record.Key, len(partitions))
		if err != nil {
			return nil, err
		}
		at := place{record.Topic, partitions[chosen]}
		sorted[at] = append(sorted[at], record)
	}
	return sorted, nil
}

// newPartitioner is fixed for ever: were it another, one key's records would be
// in two partitions and lose their order.
func newPartitioner() sarama.Partitioner { return sarama.NewMurmur2Partitioner("") }

func choose(partitioner sarama.Partitioner, key []byte, partitions int) (int32, error) {
	message := &sarama.ProducerMessage{}
	if key != nil {
		message.Key = sarama.ByteEncoder(key)
	}
	return partitioner.Partition(message, int32(partitions))
}

// head counts the records of the queue that fit into one batch: at least one.
func head(queue []Record) (records, size int) {
	size = batchFrame
	for _, record := range queue {
		more := weight(record)
		if records > 0 && size+more > batchBytes {
			break
		}
		records++
		size += more
	}
	return records, size
}

// weight is the most bytes that the record takes in a batch.
func weight(record Record) int {
	bytes := recordFrame + len(record.Key) + len(record.Value)
	for _, header := range record.Headers {
		bytes += headerFrame + len(header.Key) + len(header.Value)
	}
	return bytes
}

// shipment is one request to one broker, and how many records of each partition it holds.
type shipment struct {
	request *sarama.ProduceRequest
	records map[place]int
}

// sendHeads sends the first batch of each queue, all brokers at once, and takes
// the acknowledged ones off their queues.
func (p *Producer) sendHeads(waiting queues) error {
	shipments, err := p.load(waiting)
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	responses := make(chan func() error, len(shipments))
	for broker, shipment := range shipments {
		group.Go(func() {
			response, err := broker.Produce(shipment.request)
			responses <- func() error { return p.settle(waiting, shipment, response, err) }
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

func (p *Producer) load(waiting queues) (map[*sarama.Broker]shipment, error) {
	shipments := make(map[*sarama.Broker]shipment)
	total := 0
	for at, queue := range waiting {
		records, size := head(queue)
		if total += size; total > requestBytes && len(shipments) > 0 {
			break
		}
		broker, err := p.conn.Leader(at.topic, at.partition)
		if err != nil {
			return nil, err
		}
		load, ok := shipments[broker]
		if !ok {
			load = shipment{request: newProduceRequest(), records: make(map[place]int)}
			shipments[broker] = load
		}
		load.request.AddBatch(at.topic, at.partition, p.batch(at, queue[:records]))
		load.records[at] = records
	}
	return shipments, nil
}

// settle takes what was acknowledged off the queues; the error joins the refusals.
func (p *Producer) settle(waiting queues, sent shipment, response *sarama.ProduceResponse, err error) error {
	if err != nil {
		return err
	}
	var failures []error
	for at, records := range sent.records {
		block := response.GetBlock(at.topic, at.partition)
		switch {
		case block == nil:
			failures = append(failures, sarama.ErrIncompleteResponse)
		case block.Err == sarama.ErrNoError, block.Err == sarama.ErrDuplicateSequenceNumber:
			p.self.acknowledged(at, records)
			if waiting[at] = waiting[at][records:]; len(waiting[at]) == 0 {
				delete(waiting, at)
			}
		default:
			failures = append(failures, fmt.Errorf("topic %s, partition %d: %w", at.topic, at.partition, block.Err))
		}
	}
	return errors.Join(failures...)
}

func newProduceRequest() *sarama.ProduceRequest {
	return &sarama.ProduceRequest{
		Version:      9, // Kafka 2.8
		RequiredAcks: sarama.WaitForAll,
		Timeout:      int32(ackTimeout / time.Millisecond),
	}
}

func (p *Producer) batch(at place, records []Record) *sarama.RecordBatch {
	now := time.Now()
	batch := &sarama.RecordBatch{
		Version:         2,
		Codec:           p.codec,
		LastOffsetDelta: int32(len(records) - 1),
		ProducerID:      p.self.id,
		ProducerEpoch:   p.self.epoch,
		FirstSequence:   p.self.next[at],
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
