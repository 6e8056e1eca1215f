// Package producer implements an idempotent Kafka producer whose Send returns after
// every acknowledgement. After an error a prefix of each partition's records is
// written, and nothing behind it.
//
// It uses Sarama's broker calls instead of its AsyncProducer. When a batch fails, the
// AsyncProducer still writes the batches behind it, and a record would overtake an
// earlier one of its key.
package producer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/internal/client"
	"example.com/todo/platform/metrics"
	"example.com/todo/platform/retry"
)

// ErrRejected says that Kafka, or the protocol, accepts no such record, now or later:
// the record is larger than the topic allows, for example.
var ErrRejected = errors.New("the record is refused")

// noProgressTimeout is how long Send retries without a single acknowledgement.
const noProgressTimeout = 5 * time.Second

var retryBackoff = retry.Backoff{Min: 100 * time.Millisecond, Max: 10 * time.Second}

// Producer sends records, each acknowledged by all in-sync replicas and written once
// per Send. A record with a key goes to the partition that Kafka's Java client chooses
// (murmur2), a record without one to any. Several goroutines may share it; their calls
// of Send run one at a time.
type Producer struct {
	sem    chan struct{} // held by the Send in progress; a channel, so that a context ends the wait for it
	closed bool

	codec       sarama.CompressionCodec // of each batch
	partitioner sarama.Partitioner
	client      *client.Lazy
	id          *producerID // nil before the first Send and after a failed one

	durations metrics.Durations // of Send
}

// New returns a producer that connects when it is used, and again after an error. The
// durations of Send are in the histogram kafka_producer_send_seconds of reg, unless that
// is nil.
func New(cfg kafka.Config, reg prometheus.Registerer) *Producer {
	return &Producer{
		sem: make(chan struct{}, 1), partitioner: newPartitioner(), client: client.NewConnector(cfg).NewLazy(),
		durations: metrics.NewDurations(reg, "kafka_producer_send_seconds",
			"Duration of sending records, until all are acknowledged or one has failed.", nil),
	}
}

// NewCompressing is New for a producer that compresses batches with Zstandard and is not
// measured.
func NewCompressing(cfg kafka.Config) *Producer {
	p := New(cfg, nil)
	p.codec = sarama.CompressionZSTD
	return p
}

// Send writes the records, those of one partition in the order given, and returns when
// all are acknowledged. It fails when ctx ends, when Kafka refuses a record
// (ErrRejected) or the request, or when nothing was acknowledged for five seconds. The
// producer can be used after an error.
func (p *Producer) Send(ctx context.Context, records []kafka.Record) error {
	if len(records) == 0 {
		return nil
	}
	select {
	case p.sem <- struct{}{}:
		defer func() { <-p.sem }()
	case <-ctx.Done():
		return fmt.Errorf("send %d records: %w", len(records), ctx.Err())
	}
	if p.closed {
		return fmt.Errorf("send %d records: the producer is closed: %w", len(records), net.ErrClosed)
	}
	start := time.Now()
	err := p.send(ctx, records)
	p.durations.ObserveSince(start, err)
	if err != nil {
		// Kafka may yet write the batches in flight, under their sequence numbers. Other
		// records with the same numbers would be taken for repetitions.
		p.id = nil
		switch {
		case ctx.Err() == nil && isRejected(err):
			err = fmt.Errorf("%w: %w", ErrRejected, err)
		case ctx.Err() != nil && !errors.Is(err, ctx.Err()):
			err = errors.Join(ctx.Err(), err)
		}
		return fmt.Errorf("send %d records: %w", len(records), err)
	}
	return nil
}

// Close waits for the Send in progress and closes the connections. A later Send fails
// with net.ErrClosed.
func (p *Producer) Close() error {
	p.sem <- struct{}{}
	defer func() { <-p.sem }()
	p.closed = true
	p.client.Close()
	return nil
}

func (p *Producer) send(ctx context.Context, records []kafka.Record) error {
	var pending accumulator
	delays := retryBackoff.Delays()
	lastProgress := time.Now()
	for {
		err := p.client.Do(ctx, func(c *client.Client) error { return p.trySend(c, records, &pending) })
		switch {
		case err == nil && len(pending) == 0:
			return nil
		case err == nil:
			lastProgress = time.Now()
			delays.Reset()
			continue
		case ctx.Err() != nil, !client.IsRetriable(err), time.Since(lastProgress) > noProgressTimeout:
			return err
		case client.IsStaleProducerID(err):
			p.id = nil
		}
		if !retry.Wait(ctx, delays.NextBackOff()) {
			return err
		}
	}
}

// trySend assigns the records to partitions unless that is done, and sends one batch
// of each partition.
func (p *Producer) trySend(c *client.Client, records []kafka.Record, pending *accumulator) error {
	if p.id == nil {
		id, err := requestProducerID(c)
		if err != nil {
			return err
		}
		p.id = id
	}
	if *pending == nil {
		accumulated, err := accumulate(c, p.partitioner, records)
		if err != nil {
			return err
		}
		*pending = accumulated
	}
	return p.sendNextBatches(c, *pending)
}

// isRejected reports whether the error is about the records, and not about the
// connection, the topic or the client's rights.
func isRejected(err error) bool {
	var unsendable sarama.PacketEncodingError
	return errors.As(err, &unsendable) || client.IsAny(err, sarama.ErrMessageSizeTooLarge,
		sarama.ErrMessageSetSizeTooLarge, sarama.ErrInvalidRecord, sarama.ErrInvalidTimestamp)
}

// producerID lets Kafka recognise a batch that is sent again: by the id that Kafka
// assigned, and by the sequence number of the next record to each partition.
type producerID struct {
	id           int64
	epoch        int16
	nextSequence map[kafka.TopicPartition]int32
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
	next := make(map[kafka.TopicPartition]int32)
	return &producerID{id: response.ProducerID, epoch: response.ProducerEpoch, nextSequence: next}, nil
}

// advance adds the acknowledged records to the sequence number, which wraps to 0 after
// the largest.
func (i *producerID) advance(at kafka.TopicPartition, records int) {
	i.nextSequence[at] = int32((uint32(i.nextSequence[at]) + uint32(records)) & 0x7fffffff)
}
