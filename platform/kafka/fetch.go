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
	// maxFetchWait is how long a broker may keep a request that finds nothing.
	maxFetchWait = 500 * time.Millisecond
	// fetchVersion is of Kafka 2.3, the last one without flexible fields.
	fetchVersion = 11
)

// fetchResult is what one request for one partition brought.
type fetchResult struct {
	Records []Record // those that were committed, from the offset asked for on
	Next    int64    // where to go on: past what no reader is given, too. The offset asked for when there was nothing.
}

// undecodableError says that the broker answered and that the answer's first batch,
// or a record, cannot be decoded.
type UndecodableError struct {
	cause   error
	offsets OffsetRange
	Size    int64 // in bytes, as it is stored
}

func (u *UndecodableError) Error() string {
	if u.offsets.isSingle() {
		return fmt.Sprintf("the %d bytes at offset %d cannot be decoded: %v", u.Size, u.offsets.From, u.cause)
	}
	return fmt.Sprintf("the batch of %d bytes at the offsets %d to %d cannot be decoded: %v",
		u.Size, u.offsets.From, u.offsets.To-1, u.cause)
}

func (u *UndecodableError) Unwrap() error { return u.cause }

// state is fetch for a reader that goes on whatever there is: a batch that cannot
// be decoded is one record, alone, whose Undecodable says so.
func (c *Client) read(at TopicPartition, from int64) (fetchResult, error) {
	answer, err := c.fetch(at, from, c.ask)
	var bad *UndecodableError
	if errors.As(err, &bad) {
		// It may be a batch behind the first one, or the network's doing.
		answer, err = c.fetch(at, from, 1)
	}
	if errors.As(err, &bad) {
		return fetchResult{Records: []Record{undecodableRecord(at, from, bad)}, Next: bad.offsets.To}, nil
	}
	return answer, err
}

// undecodableRecord is the record that stands for what cannot be decoded.
func undecodableRecord(at TopicPartition, offset int64, bad *UndecodableError) Record {
	return Record{Topic: at.Topic, Partition: at.Partition, Offset: offset, Undecodable: bad}
}

// fetch asks the partition's leader for committed records from an offset on: for
// bytes of them, or one batch if that is larger. It returns maxBatchMemory of
// records, or one more than that. The error is an *undecodable when the answer's
// first batch cannot be decoded or, unless bytes is 1, one behind it;
// sarama.ErrOffsetOutOfRange when the offset is not in the log, another
// sarama.KError when the broker refuses, and otherwise about the connection,
// which nothing else may use meanwhile. The caller bounds the call by bind.
func (c *Client) fetch(at TopicPartition, from int64, bytes int32) (fetchResult, error) {
	leader, err := c.Leader(at.Topic, at.Partition)
	if err != nil {
		return fetchResult{}, err
	}
	// Connected waits for the handshake, which is no part of the response to inspect.
	if _, err := leader.Connected(); err != nil {
		return fetchResult{}, err
	}
	request := &sarama.FetchRequest{
		Version:      fetchVersion,
		Isolation:    sarama.ReadCommitted,
		MinBytes:     1,
		MaxBytes:     bytes,
		MaxWaitTime:  int32(maxFetchWait / time.Millisecond),
		SessionEpoch: -1, // no session
	}
	request.AddBlock(at.Topic, at.Partition, from, bytes, -1)
	failures := c.sockets.failures.Load()
	seen, done := c.sockets.inspect(at)
	defer done()
	response, err := leader.Fetch(request)
	if err != nil {
		_ = leader.Close() // otherwise Sarama hands out the broken connection again
		// What the sockets carried without a failure arrived: it is the decoding that failed.
		if c.sockets.failures.Load() == failures && isDecodeError(err) {
			return fetchResult{}, seen.undecodableError(from, err)
		}
		return fetchResult{}, err
	}
	block := response.GetBlock(at.Topic, at.Partition)
	switch {
	case block == nil:
		return fetchResult{}, sarama.ErrIncompleteResponse
	case block.Err != sarama.ErrNoError:
		return fetchResult{}, block.Err
	case isTruncated(block), len(block.RecordsSet) != seen.keptBatches:
		// Whole batches were given to Sarama, and of those one contradicts itself.
		return fetchResult{}, seen.undecodableError(from, errContradiction)
	}
	seen.unpackedBytes = saramaMemory(block)
	c.ask = maxFetchBytes
	if seen.truncated {
		c.ask = min(max(2*int32(seen.keptBytes), minFetchBytes), maxFetchBytes)
	}
	answer := fetchResult{Next: from}
	if answer.decodeBatches(at, block) {
		answer.Next = max(answer.Next, seen.next) // past batches that compaction emptied
	}
	return answer, nil
}

// undecodableError is the error about the first batch of the response, asked for from
// an offset on.
func (i *responseInspector) undecodableError(from int64, cause error) error {
	if i.firstSize == 0 {
		return fmt.Errorf("a response was not understood: %w", cause)
	}
	offsets := i.firstOffsets.from(from)
	// What the batch says of itself may be wrong too. A position beyond the log's end
	// would have the group begin anew at its start, and meet the batch again.
	if offsets.IsEmpty() || offsets.To > i.lastStable {
		offsets = OffsetRange{From: from, To: from + 1}
	}
	return &UndecodableError{cause: cause, offsets: offsets, Size: i.firstSize}
}

var (
	errContradiction = errors.New("it is shorter than what it says of itself")
	errRecordTooLong = fmt.Errorf("it unpacks to a record of more than %d MiB", maxRecord>>20)
)

// isDecodeError tells whether an error that comes from no socket is about what
// was received. The others are about the client, the request or a refusal.
func isDecodeError(err error) bool {
	var refusal sarama.KError
	var unsendable sarama.PacketEncodingError
	var misconfigured sarama.ConfigurationError
	return !errors.As(err, &refusal) && !errors.As(err, &unsendable) && !errors.As(err, &misconfigured) &&
		!errors.Is(err, sarama.ErrNotConnected) && !errors.Is(err, sarama.ErrClosedClient) &&
		!errors.Is(err, sarama.ErrUnsupportedVersion)
}

// isTruncated tells whether Sarama takes the block's first batch for the beginning
// of a longer one.
func isTruncated(block *sarama.FetchResponseBlock) bool {
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

// decompress copies out of the batches what a reader of committed records is given.
// It is false when it stopped before their end, for there is enough.
func (f *fetchResult) decodeBatches(at TopicPartition, block *sarama.FetchResponseBlock) bool {
	aborted := slices.SortedFunc(slices.Values(block.AbortedTransactions), func(a, b *sarama.AbortedTransaction) int {
		return cmp.Compare(a.FirstOffset, b.FirstOffset)
	})
	aborting := make(map[int64]bool) // by producer
	room := maxBatchMemory
	for _, each := range block.RecordsSet {
		batch := each.RecordBatch
		for len(aborted) > 0 && aborted[0].FirstOffset <= batch.LastOffset() {
			aborting[aborted[0].ProducerID] = true
			aborted = aborted[1:]
		}
		switch {
		case batch.Control:
			if isAbortMarker(batch) {
				delete(aborting, batch.ProducerID)
			}
		case !batch.IsTransactional || !aborting[batch.ProducerID]:
			if room = f.appendRecords(at, batch, room); room <= 0 {
				return false
			}
		}
		f.Next = max(f.Next, batch.LastOffset()+1)
	}
	return true
}

// appendRecords copies the batch's records, without those before the offset to go on at,
// until there is no room left, and returns what is left. The last one may need
// more than there is.
func (f *fetchResult) appendRecords(at TopicPartition, batch *sarama.RecordBatch, room int) int {
	for _, sent := range batch.Records {
		offset := batch.FirstOffset + sent.OffsetDelta
		if offset < f.Next {
			continue
		}
		if room <= 0 {
			break
		}
		written := batch.FirstTimestamp.Add(sent.TimestampDelta)
		if batch.LogAppendTime {
			written = batch.MaxTimestamp
		}
		message := &sarama.ConsumerMessage{
			Topic: at.Topic, Partition: at.Partition, Offset: offset,
			Key: sent.Key, Value: sent.Value, Headers: sent.Headers, Timestamp: written,
		}
		var record Record
		if size := recordSize(message); size > maxRecord {
			record = undecodableRecord(at, offset, &UndecodableError{
				cause: errRecordTooLong, offsets: OffsetRange{From: offset, To: offset + 1}, Size: int64(size),
			})
		} else {
			record = fromSarama(message)
		}
		room -= weight(record)
		f.Records = append(f.Records, record)
		f.Next = offset + 1
	}
	return room
}

// saramaMemory is how many bytes Sarama needs for the block's records.
func saramaMemory(block *sarama.FetchResponseBlock) (bytes int64) {
	for _, batch := range block.RecordsSet {
		for _, record := range batch.RecordBatch.Records {
			bytes += recordMemory + int64(len(record.Key)+len(record.Value)+len(record.Headers)*headerMemory)
		}
	}
	return bytes
}

// isAbortMarker tells whether a batch that Kafka wrote for itself is the
// marker of an aborted transaction: its key is a version and the type 0.
func isAbortMarker(batch *sarama.RecordBatch) bool {
	if len(batch.Records) == 0 || len(batch.Records[0].Key) < 4 {
		return false
	}
	return binary.BigEndian.Uint16(batch.Records[0].Key[2:]) == 0
}
