package kafka

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/IBM/sarama"
)

const (
	// fetchWait is how long a broker may keep a request that finds nothing.
	fetchWait = 250 * time.Millisecond
	// fetchVersion is of Kafka 2.3, the last one without flexible fields.
	fetchVersion = 11
)

// fetched is what one request for one partition brought.
type fetched struct {
	records []Record // those that were committed, from the offset asked for on
	next    int64    // where to go on: past what no reader is given, too. The offset asked for when there was nothing.
	oldest  int64    // the log's start
	stable  int64    // the end for readers of committed records: the last stable offset
	newest  int64    // the high-water mark
}

// undecodable says that the broker answered, and that Sarama cannot decode the
// answer.
type undecodable struct {
	cause error
	// first and size are the offset that the answer's first batch begins with and
	// its bytes; size is 0 when they are not known. They are known when nothing
	// else uses the connection.
	first, size int64
}

func (u *undecodable) Error() string { return fmt.Sprintf("a batch cannot be decoded: %v", u.cause) }
func (u *undecodable) Unwrap() error { return u.cause }

// fetch asks the partition's leader for committed records from an offset on: for
// bytes of them, or one batch if that is larger. The error is an *undecodable
// when the answer cannot be decoded, sarama.ErrOffsetOutOfRange when the offset
// is not in the log, another sarama.KError when the broker refuses, and otherwise
// about the connection. The caller bounds the call by bind.
func (c *connection) fetch(at place, from int64, bytes int32) (fetched, error) {
	leader, err := c.Leader(at.topic, at.partition)
	if err != nil {
		return fetched{}, err
	}
	// Connected waits for the handshake, which is no part of the response to read.
	if _, err := leader.Connected(); err != nil {
		return fetched{}, err
	}
	request := &sarama.FetchRequest{
		Version:      fetchVersion,
		Isolation:    sarama.ReadCommitted,
		MinBytes:     1,
		MaxBytes:     bytes,
		MaxWaitTime:  int32(fetchWait / time.Millisecond),
		SessionEpoch: -1, // no session
	}
	request.AddBlock(at.topic, at.partition, from, bytes, -1)
	failures := c.sockets.failures.Load()
	c.sockets.opening.begin()
	response, err := leader.Fetch(request)
	opening := c.sockets.opening.end()
	if err != nil {
		// What the sockets carried without a failure arrived: it is the decoding that failed.
		if c.sockets.failures.Load() == failures && aboutContent(err) {
			first, size := firstBatch(opening, at)
			err = &undecodable{cause: err, first: first, size: size}
		}
		return fetched{}, err
	}
	block := response.GetBlock(at.topic, at.partition)
	switch {
	case block == nil:
		return fetched{}, sarama.ErrIncompleteResponse
	case block.Err != sarama.ErrNoError:
		return fetched{}, block.Err
	case cutShort(block):
		// A broker cuts the first batch never, so it is the batch that contradicts itself.
		first, size := firstBatch(opening, at)
		return fetched{}, &undecodable{cause: errContradiction, first: first, size: size}
	}
	answer := fetched{
		next: from, oldest: block.LogStartOffset, stable: block.LastStableOffset, newest: block.HighWaterMarkOffset,
	}
	if err := answer.unpack(at, block); err != nil {
		return fetched{}, err
	}
	if answer.next == from && len(block.RecordsSet) == 0 && response.ThrottleTime == 0 && from < answer.stable {
		answer.next = from + 1 // batches that compaction emptied: Sarama does not say how far they go
	}
	return answer, nil
}

var (
	errContradiction = errors.New("it is shorter than what it says of itself")
	errTooOld        = errors.New("its format is older than Kafka 0.11")
)

// aboutContent tells whether an error that comes from no socket is about what
// was received. The others are about the client, the request or a refusal.
func aboutContent(err error) bool {
	var refusal sarama.KError
	var unsendable sarama.PacketEncodingError
	var misconfigured sarama.ConfigurationError
	return !errors.As(err, &refusal) && !errors.As(err, &unsendable) && !errors.As(err, &misconfigured) &&
		!errors.Is(err, sarama.ErrNotConnected) && !errors.Is(err, sarama.ErrClosedClient) &&
		!errors.Is(err, sarama.ErrUnsupportedVersion)
}

// cutShort tells whether Sarama takes the block's first batch for the beginning
// of a longer one.
func cutShort(block *sarama.FetchResponseBlock) bool {
	if block.Partial {
		return true
	}
	if len(block.RecordsSet) == 0 {
		return false
	}
	first := block.RecordsSet[0]
	return first.RecordBatch != nil && first.RecordBatch.PartialTrailingRecord ||
		first.MsgSet != nil && first.MsgSet.PartialTrailingMessage && len(first.MsgSet.Messages) == 0
}

// unpack copies out of the batches what a reader of committed records is given.
func (f *fetched) unpack(at place, block *sarama.FetchResponseBlock) error {
	aborted := slices.SortedFunc(slices.Values(block.AbortedTransactions), func(a, b *sarama.AbortedTransaction) int {
		return cmp.Compare(a.FirstOffset, b.FirstOffset)
	})
	aborting := make(map[int64]bool) // by producer
	for _, each := range block.RecordsSet {
		batch := each.RecordBatch
		switch {
		case batch == nil:
			return &undecodable{cause: errTooOld}
		case batch.PartialTrailingRecord:
			return nil
		}
		for len(aborted) > 0 && aborted[0].FirstOffset <= batch.LastOffset() {
			aborting[aborted[0].ProducerID] = true
			aborted = aborted[1:]
		}
		switch {
		case batch.Control:
			if abortsTransaction(batch) {
				delete(aborting, batch.ProducerID)
			}
		case !batch.IsTransactional || !aborting[batch.ProducerID]:
			f.take(at, batch)
		}
		f.next = max(f.next, batch.LastOffset()+1)
	}
	return nil
}

// take copies the batch's records, without those before the offset asked for.
func (f *fetched) take(at place, batch *sarama.RecordBatch) {
	for _, sent := range batch.Records {
		offset := batch.FirstOffset + sent.OffsetDelta
		if offset < f.next {
			continue
		}
		written := batch.FirstTimestamp.Add(sent.TimestampDelta)
		if batch.LogAppendTime {
			written = batch.MaxTimestamp
		}
		f.records = append(f.records, received(&sarama.ConsumerMessage{
			Topic: at.topic, Partition: at.partition, Offset: offset,
			Key: sent.Key, Value: sent.Value, Headers: sent.Headers, Timestamp: written,
		}))
	}
}

// abortsTransaction tells whether a batch that Kafka wrote for itself is the
// marker of an aborted transaction: its key is a version and the type 0.
func abortsTransaction(batch *sarama.RecordBatch) bool {
	if len(batch.Records) == 0 || len(batch.Records[0].Key) < 4 {
		return false
	}
	return binary.BigEndian.Uint16(batch.Records[0].Key[2:]) == 0
}

// firstBatch reads, from the beginning of a response to fetch, the offset that
// the first batch begins with, and its bytes. The size is 0 when it is not there.
func firstBatch(response []byte, at place) (first, size int64) {
	const (
		lengthAndCorrelation = 4 + 4
		throttleErrorSession = 4 + 2 + 4
		topics               = 4
		partitions           = 4
		partitionAndError    = 4 + 2
		highStableStart      = 8 + 8 + 8
		transaction          = 8 + 8
		replica              = 4
		recordsLength        = 4
		offsetAndLength      = 8 + 4
	)
	rest := response
	skip := func(bytes int) bool {
		if bytes < 0 || len(rest) < bytes {
			return false
		}
		rest = rest[bytes:]
		return true
	}
	if !skip(lengthAndCorrelation+throttleErrorSession+topics) || len(rest) < 2 ||
		int(binary.BigEndian.Uint16(rest)) != len(at.topic) || !skip(2+len(at.topic)+partitions) ||
		len(rest) < 4 || int32(binary.BigEndian.Uint32(rest)) != at.partition ||
		!skip(partitionAndError+highStableStart) || len(rest) < 4 {
		return 0, 0
	}
	transactions := max(int(int32(binary.BigEndian.Uint32(rest))), 0)
	if !skip(4+transactions*transaction+replica+recordsLength) || len(rest) < offsetAndLength {
		return 0, 0
	}
	first = int64(binary.BigEndian.Uint64(rest))
	return first, int64(binary.BigEndian.Uint32(rest[8:])) + offsetAndLength
}
