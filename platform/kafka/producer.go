package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/IBM/sarama"
)

// ErrRejected says that Kafka, or the protocol, takes no such record, now or
// later: it is larger than the topic allows, say.
var ErrRejected = errors.New("the record is refused")

// noProgressTimeout is how long Send goes on without a single acknowledgement.
const noProgressTimeout = 5 * time.Second

// Producer sends records, each acknowledged by all in-sync replicas and, within
// one Send, written once. A record with a key goes to the partition that
// Kafka's Java client would choose (murmur2), one without to any.
//
// It speaks through Sarama's broker calls rather than its AsyncProducer: that
// one, when a batch fails, still writes the batches behind it, and a record
// would overtake an earlier one of its key.
type Producer struct {
	cfg    Config
	sem    chan struct{} // held by the Send under way; a channel, so that ctx ends the waiting
	closed bool

	codec       sarama.CompressionCodec // of each batch; the zero value leaves batches uncompressed
	partitioner sarama.Partitioner
	conn        *Client     // nil until needed and after trouble
	id          *producerID // nil until needed and after a Send that failed
}

// NewProducer returns a producer that connects when it is first used, and again
// whenever it has to. It may be shared; it sends one call's records at a time.
func NewProducer(cfg Config) *Producer {
	return &Producer{cfg: cfg, sem: make(chan struct{}, 1), partitioner: newPartitioner()}
}

// Send writes the records, those of one partition in the order given, and
// returns when all are acknowledged. It gives up when ctx ends, when Kafka
// refuses a record (ErrRejected) or the whole, or when nothing was acknowledged
// for five seconds. After an
// error a prefix of each partition's records has been written, and the producer
// can be used on.
func (p *Producer) Send(ctx context.Context, records []Record) error {
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
	if err := p.send(ctx, records); err != nil {
		// What was under way may yet be written under the numbers it had, so
		// those numbers must not come again on other records.
		p.id = nil
		p.disconnect()
		switch {
		case ctx.Err() != nil:
			err = errors.Join(ctx.Err(), err)
		case isRejected(err):
			err = fmt.Errorf("%w: %w", ErrRejected, err)
		}
		return fmt.Errorf("send %d records: %w", len(records), err)
	}
	return nil
}

// Close waits for the Send under way and gives the connections back. A closed
// producer sends nothing more.
func (p *Producer) Close() error {
	p.sem <- struct{}{}
	defer func() { <-p.sem }()
	p.closed = true
	p.disconnect()
	return nil
}

func (p *Producer) send(ctx context.Context, records []Record) error {
	var waiting accumulator
	var between pause
	progress := time.Now()
	for {
		err := p.trySend(ctx, records, &waiting)
		switch {
		case err == nil && len(waiting) == 0:
			return nil
		case err == nil:
			progress = time.Now()
			between.reset()
			continue
		case ctx.Err() != nil, !IsRetriable(err), time.Since(progress) > noProgressTimeout:
			return err
		case IsStaleProducerID(err):
			p.id = nil
		}
		p.disconnect() // a new connection knows the leaders of now
		if between.wait(ctx) != nil {
			return err
		}
	}
}

// trySend sorts the records into queues if that is still to be done, and sends one
// batch of each queue.
func (p *Producer) trySend(ctx context.Context, records []Record, waiting *accumulator) error {
	if p.conn == nil || p.conn.sockets.isClosed() {
		conn, err := connect(p.cfg)
		if err != nil {
			return err
		}
		p.conn = conn
	}
	defer p.conn.abortOn(ctx)()
	if p.id == nil {
		self, err := requestProducerID(p.conn)
		if err != nil {
			return err
		}
		p.id = self
	}
	if *waiting == nil {
		sorted, err := accumulate(p.conn, p.partitioner, records)
		if err != nil {
			return err
		}
		*waiting = sorted
	}
	return p.sendNextBatches(*waiting)
}

func (p *Producer) disconnect() {
	if p.conn != nil {
		p.conn.close()
		p.conn = nil
	}
}

// IsRetriable tells whether the same batches may succeed later.
func IsRetriable(err error) bool {
	var several interface{ Unwrap() []error }
	if errors.As(err, &several) {
		return !slices.ContainsFunc(several.Unwrap(), func(err error) bool { return !IsRetriable(err) })
	}
	var refusal sarama.KError
	var unsendable sarama.PacketEncodingError
	var misconfigured sarama.ConfigurationError
	switch {
	case errors.As(err, &unsendable), errors.As(err, &misconfigured):
		return false
	case !errors.As(err, &refusal):
		return true // the connection, then
	}
	switch refusal {
	case sarama.ErrInvalidMessage, // the checksum failed: bytes were mangled on the way
		sarama.ErrUnknownTopicOrPartition, sarama.ErrLeaderNotAvailable, sarama.ErrNotLeaderForPartition,
		sarama.ErrRequestTimedOut, sarama.ErrNetworkException, sarama.ErrNotEnoughReplicas,
		sarama.ErrNotEnoughReplicasAfterAppend, sarama.ErrKafkaStorageError, sarama.ErrFencedLeaderEpoch,
		sarama.ErrUnknownLeaderEpoch, sarama.ErrReplicaNotAvailable, sarama.ErrOffsetNotAvailable,
		sarama.ErrConsumerCoordinatorNotAvailable, sarama.ErrOffsetsLoadInProgress:
		return true
	default:
		return IsStaleProducerID(err)
	}
}

// isRejected tells whether the error is about what was sent, not about who sends it
// where.
func isRejected(err error) bool {
	var unsendable sarama.PacketEncodingError
	return errors.As(err, &unsendable) || errors.Is(err, sarama.ErrMessageSizeTooLarge) || errors.Is(err, sarama.ErrMessageSetSizeTooLarge) ||
		errors.Is(err, sarama.ErrInvalidRecord) || errors.Is(err, sarama.ErrInvalidTimestamp)
}

// IsStaleProducerID tells whether Kafka no longer knows the producer's numbers. It wrote
// nothing, and will under new ones.
func IsStaleProducerID(err error) bool {
	return errors.Is(err, sarama.ErrOutOfOrderSequenceNumber) || errors.Is(err, sarama.ErrUnknownProducerID) ||
		errors.Is(err, sarama.ErrInvalidProducerEpoch) || errors.Is(err, sarama.ErrInvalidProducerIDMapping)
}
