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
	fetchWait = 500 * time.Millisecond
	// fetchVersion is of Kafka 2.3, the last one without flexible fields.
	fetchVersion = 11
)

// fetched is what one request for one partition brought.
type fetched struct {
	records []Record // those that were committed, from the offset asked for on
	next    int64    // where to go on: past what no reader is given, too. The offset asked for when there was nothing.
}

// undecodable says that the broker answered and that the answer's first batch,
// or a record, cannot be decoded.
type undecodable struct {
	cause   error
	offsets span
	size    int64 // in bytes, as it is stored
}

func (u *undecodable) Error() string {
	if u.offsets.single() {
		return fmt.Sprintf("the %d bytes at offset %d cannot be decoded: %v", u.size, u.offsets.From, u.cause)
	}
	return fmt.Sprintf("the batch of %d bytes at the offsets %d to %d cannot be decoded: %v",
		u.size, u.offsets.From, u.offsets.To-1, u.cause)
}

func (u *undecodable) Unwrap() error { return u.cause }

// read is fetch for a reader that goes on whatever there is: a batch that cannot
// be decoded is one record, alone, whose Undecodable says so.
func (c *connection) read(at place, from int64) (fetched, error) {
	answer, err := c.fetch(at, from, c.ask)
	var bad *undecodable
	if errors.As(err, &bad) {
		// It may be a batch behind the first one, or the network's doing.
		answer, err = c.fetch(at, from, 1)
	}
	if errors.As(err, &bad) {
		return fetched{records: []Record{standIn(at, from, bad)}, next: bad.offsets.To}, nil
	}
	return answer, err
}

// standIn is the record that stands for what cannot be decoded.
func standIn(at place, offset int64, bad *undecodable) Record {
	return Record{Topic: at.topic, Partition: at.partition, Offset: offset, Undecodable: bad}
}

// fetch asks the partition's leader for committed records from an offset on: for
// bytes of them, or one batch if that is larger. It returns handleBytes of
// records, or one more than that. The error is an *undecodable when the answer's
// first batch cannot be decoded or, unless bytes is 1, one behind it;
// sarama.ErrOffsetOutOfRange when the offset is not in the log, another
// sarama.KError when the broker refuses, and otherwise about the connection,
// which nothing else may use meanwhile. The caller bounds the call by bind.
func (c *connection) fetch(at place, from int64, bytes int32) (fetched, error) {
	leader, err := c.Leader(at.topic, at.partition)
	if err != nil {
		return fetched{}, err
	}
	// Connected waits for the handshake, which is no part of the response to inspect.
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
	seen, done := c.sockets.inspect(at)
	defer done()
	response, err := leader.Fetch(request)
	if err != nil {
		_ = leader.Close() // otherwise Sarama hands out the broken connection again
		// What the sockets carried without a failure arrived: it is the decoding that failed.
		if c.sockets.failures.Load() == failures && aboutContent(err) {
			return fetched{}, seen.undecodable(from, err)
		}
		return fetched{}, err
	}
	block := response.GetBlock(at.topic, at.partition)
	switch {
	case block == nil:
		return fetched{}, sarama.ErrIncompleteResponse
	case block.Err != sarama.ErrNoError:
		return fetched{}, block.Err
	case cutShort(block), len(block.RecordsSet) != seen.full:
		// Whole batches were given to Sarama, and of those one contradicts itself.
		return fetched{}, seen.undecodable(from, errContradiction)
	}
	seen.most = held(block)
	c.ask = partitionBytes
	if seen.cut {
		c.ask = min(max(2*int32(seen.used), leastBytes), partitionBytes)
	}
	answer := fetched{next: from}
	if answer.unpack(at, block) {
		answer.next = max(answer.next, seen.next) // past batches that compaction emptied
	}
	return answer, nil
}

// undecodable is the error about the first batch of the response, asked for from
// an offset on.
func (i *inspection) undecodable(from int64, cause error) error {
	if i.size == 0 {
		return fmt.Errorf("a response was not understood: %w", cause)
	}
	offsets := i.first.above(from)
	// What the batch says of itself may be wrong too. A position beyond the log's end
	// would have the group begin anew at its start, and meet the batch again.
	if offsets.empty() || offsets.To > i.end {
		offsets = span{From: from, To: from + 1}
	}
	return &undecodable{cause: cause, offsets: offsets, size: i.size}
}

var (
	errContradiction = errors.New("it is shorter than what it says of itself")
	errRecordTooLong = fmt.Errorf("it unpacks to a record of more than %d MiB", maxRecord>>20)
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
// It is false when it stopped before their end, for there is enough.
func (f *fetched) unpack(at place, block *sarama.FetchResponseBlock) bool {
	aborted := slices.SortedFunc(slices.Values(block.AbortedTransactions), func(a, b *sarama.AbortedTransaction) int {
		return cmp.Compare(a.FirstOffset, b.FirstOffset)
	})
	aborting := make(map[int64]bool) // by producer
	room := handleBytes
	for _, each := range block.RecordsSet {
		batch := each.RecordBatch
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
			if room = f.take(at, batch, room); room <= 0 {
				return false
			}
		}
		f.next = max(f.next, batch.LastOffset()+1)
	}
	return true
}

// take copies the batch's records, without those before the offset to go on at,
// until there is no room left, and returns what is left. The last one may need
// more than there is.
func (f *fetched) take(at place, batch *sarama.RecordBatch, room int) int {
	for _, sent := range batch.Records {
		offset := batch.FirstOffset + sent.OffsetDelta
		if offset < f.next {
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
			Topic: at.topic, Partition: at.partition, Offset: offset,
			Key: sent.Key, Value: sent.Value, Headers: sent.Headers, Timestamp: written,
		}
		var record Record
		if size := receivedBytes(message); size > maxRecord {
			record = standIn(at, offset, &undecodable{
				cause: errRecordTooLong, offsets: span{From: offset, To: offset + 1}, size: int64(size),
			})
		} else {
			record = received(message)
		}
		room -= weight(record)
		f.records = append(f.records, record)
		f.next = offset + 1
	}
	return room
}

// held is how many bytes Sarama needs for the block's records.
func held(block *sarama.FetchResponseBlock) (bytes int64) {
	for _, batch := range block.RecordsSet {
		for _, record := range batch.RecordBatch.Records {
			bytes += recordOverhead + int64(len(record.Key)+len(record.Value)+len(record.Headers)*headerOverhead)
		}
	}
	return bytes
}

// abortsTransaction tells whether a batch that Kafka wrote for itself is the
// marker of an aborted transaction: its key is a version and the type 0.
func abortsTransaction(batch *sarama.RecordBatch) bool {
	if len(batch.Records) == 0 || len(batch.Records[0].Key) < 4 {
		return false
	}
	return binary.BigEndian.Uint16(batch.Records[0].Key[2:]) == 0
}
