package fetch

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/IBM/sarama"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/internal/client"
)

const (
	// maxResponsePrefix is how much is read of a response that is too long: all before
	// the batches, with a partition's aborted transactions, and the first batch's header.
	maxResponsePrefix = 64 << 10
	// maxRecordBytes bounds the memory of one record.
	maxRecordBytes = 16 << 20
	// freeMemoryThreshold is from how many unpacked bytes on memory goes back to the
	// system at once. Otherwise the next response adds to what this one left behind.
	freeMemoryThreshold = 16 << 20
)

// response is the response to one fetch.
type response struct {
	at         kafka.TopicPartition
	lastStable int64  // the last stable offset: a response has whole batches below it
	batches    []byte // as stored
	tooLong    bool   // it has more than client.MaxResponseBytes
}

// receive reads the response from the socket, keeps the batches, and returns the rest,
// which Sarama decodes.
func (r *response) receive(socket io.Reader) ([]byte, error) {
	length := make([]byte, 4)
	if _, err := io.ReadFull(socket, length); err != nil {
		return nil, err
	}
	size := int64(binary.BigEndian.Uint32(length))
	if r.tooLong = size > client.MaxResponseBytes; r.tooLong {
		size = maxResponsePrefix
	}
	whole := make([]byte, 4+size)
	copy(whole, length)
	if _, err := io.ReadFull(socket, whole[4:]); err != nil {
		return nil, err
	}
	begin := r.locateBatches(whole)
	if begin == 0 {
		return whole, nil // Sarama finds the refusal in it
	}
	r.batches = whole[begin:]
	if r.tooLong {
		return nil, errResponseTooLong
	}
	binary.BigEndian.PutUint32(whole[begin-4:], 0)
	binary.BigEndian.PutUint32(whole, uint32(begin-4))
	return whole[:begin], nil
}

// locateBatches returns where the batches begin in a response to a fetch of fetchVersion
// for one partition, or 0 if it has none.
func (r *response) locateBatches(whole []byte) int {
	const (
		beforeTopic      = 4 + 4 + 4 + 2 + 4 + 4 // length, correlation id, throttle time, error, session, topics
		transaction      = 8 + 8
		replicaAndLength = 4 + 4
	)
	var partition struct {
		Partitions, Partition            int32
		Error                            int16
		HighWatermark, LastStable, Start int64
		Transactions                     int32
	}
	begin := beforeTopic + 2 + len(r.at.Topic)
	size, err := binary.Decode(whole[min(begin, len(whole)):], binary.BigEndian, &partition)
	begin += size + max(int(partition.Transactions), 0)*transaction + replicaAndLength
	if err != nil || begin > len(whole) {
		return 0
	}
	r.lastStable = partition.LastStable
	return begin
}

// undecodableError is the error about the first batch of the response to a request
// from that offset on.
func (r *response) undecodableError(from int64, cause error) error {
	var header batchHeader
	if _, err := binary.Decode(r.batches, binary.BigEndian, &header); err != nil {
		return fmt.Errorf("a response was not understood: %w", cause)
	}
	first, next := max(header.FirstOffset, from), header.next()
	// The header's offsets may be wrong too. With a position beyond the log's end the
	// group would begin anew at the log's start, and meet the batch again.
	if first >= next || next > r.lastStable {
		first, next = from, from+1
	}
	return &UndecodableError{Cause: cause, First: first, Next: next, Size: header.size()}
}

// decoding is held while a response is decoded: the memory for unpacking is needed once
// in the process, not once per partition.
var decoding sync.Mutex

// decoder copies out of batches what a reader of committed records gets.
type decoder struct {
	Result
	at       kafka.TopicPartition
	room     int                          // bytes that the result may still have; the last record may exceed it
	aborted  []*sarama.AbortedTransaction // that begin in a later batch, by offset
	aborting map[int64]bool               // by producer id
	unpacked int64                        // bytes so far
}

// decode returns the records from the offset on, up to the bounds or the first batch
// behind the first one that cannot be decoded. The next request begins there.
func (r *response) decode(from int64, aborted []*sarama.AbortedTransaction) (Result, error) {
	decoding.Lock()
	defer decoding.Unlock()
	slices.SortFunc(aborted, func(a, b *sarama.AbortedTransaction) int {
		return cmp.Compare(a.FirstOffset, b.FirstOffset)
	})
	d := &decoder{at: r.at, room: MaxResultBytes, aborted: aborted, aborting: make(map[int64]bool)}
	d.Next = from
	defer func() {
		if d.unpacked >= freeMemoryThreshold {
			r.batches = nil
			debug.FreeOSMemory()
		}
	}()
	rest := r.batches
	// Aborted records and those that are too large take no room. Other partitions wait
	// for the decoding.
	for len(rest) > 0 && d.room > 0 && d.unpacked < client.MaxUnpackedBytes {
		batch, err := parseBatch(rest)
		if err == nil {
			err = d.appendBatch(batch)
		}
		if err != nil && len(rest) == len(r.batches) {
			return Result{}, r.undecodableError(from, err)
		}
		if err != nil {
			break
		}
		rest = rest[batch.size():]
	}
	return d.Result, nil
}

// appendBatch appends the batch's records from Next on, while there is room. After an
// error the result is as before.
func (d *decoder) appendBatch(b batch) error {
	for len(d.aborted) > 0 && d.aborted[0].FirstOffset < b.next() {
		d.aborting[d.aborted[0].ProducerID] = true
		d.aborted = d.aborted[1:]
	}
	before := d.Result
	next := b.next()
	unpacked, err := b.read(func(encoded encodedRecord) error {
		offset := b.FirstOffset + encoded.offsetDelta
		switch {
		case b.isControl():
			// The key of a marker is a version and a type; 0 ends an aborted transaction.
			if len(encoded.key) >= 4 && binary.BigEndian.Uint16(encoded.key[2:]) == 0 {
				delete(d.aborting, b.ProducerID)
			}
		case b.isTransactional() && d.aborting[b.ProducerID], offset < d.Next:
		case d.room <= 0:
			next = d.Next
		default:
			return d.appendRecord(b.batchHeader, offset, encoded)
		}
		return nil
	})
	d.unpacked += unpacked
	if err != nil {
		d.Result = before
		return err
	}
	d.Next = max(d.Next, next)
	return nil
}

func (d *decoder) appendRecord(h batchHeader, offset int64, encoded encodedRecord) error {
	record := kafka.Record{Topic: d.at.Topic, Partition: d.at.Partition, Offset: offset}
	if size := encoded.memory(); size > maxRecordBytes {
		record.Undecodable = &UndecodableError{Cause: errRecordTooLarge, First: offset, Next: offset + 1, Size: size}
	} else {
		var err error
		if record.Headers, err = encoded.copyHeaders(); err != nil {
			return err
		}
		record.Key, record.Value = bytes.Clone(encoded.key), bytes.Clone(encoded.value)
		record.Time = h.timeOf(encoded)
	}
	d.room -= record.EncodedSize()
	d.Records = append(d.Records, record)
	d.Next = offset + 1
	return nil
}
