package fetch

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"example.com/todo/platform/kafka"
)

// maxRecordBytes bounds the memory of one record.
const maxRecordBytes = 16 << 20

// appendBatches copies out of the batches what a reader of committed records gets. It
// returns false if it stopped before their end, because the result is full.
func (r *Result) appendBatches(at kafka.TopicPartition, block *sarama.FetchResponseBlock) bool {
	aborted := slices.SortedFunc(slices.Values(block.AbortedTransactions), func(a, b *sarama.AbortedTransaction) int {
		return cmp.Compare(a.FirstOffset, b.FirstOffset)
	})
	aborting := make(map[int64]bool) // by producer id
	room := MaxResultBytes
	for _, set := range block.RecordsSet {
		batch := set.RecordBatch
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
			if room = r.appendRecords(at, batch, room); room <= 0 {
				return false
			}
		}
		r.Next = max(r.Next, batch.LastOffset()+1)
	}
	return true
}

// appendRecords copies the batch's records from Next on, until no room is left, and
// returns the room that is left. The last record may exceed it.
func (r *Result) appendRecords(at kafka.TopicPartition, batch *sarama.RecordBatch, room int) int {
	for _, encoded := range batch.Records {
		offset := batch.FirstOffset + encoded.OffsetDelta
		if offset < r.Next {
			continue
		}
		if room <= 0 {
			break
		}
		var record kafka.Record
		if size := recordSize(encoded); size > maxRecordBytes {
			record = undecodableRecord(at, offset, &UndecodableError{
				Cause: errRecordTooLarge, First: offset, Next: offset + 1, Size: int64(size),
			})
		} else {
			written := batch.FirstTimestamp.Add(encoded.TimestampDelta)
			if batch.LogAppendTime {
				written = batch.MaxTimestamp
			}
			record = fromSarama(at, offset, written, encoded)
		}
		room -= record.EncodedSize()
		r.Records = append(r.Records, record)
		r.Next = offset + 1
	}
	return room
}

// isAbortMarker reports whether a control batch ends an aborted transaction: its key is
// a version and the type 0.
func isAbortMarker(batch *sarama.RecordBatch) bool {
	if len(batch.Records) == 0 || len(batch.Records[0].Key) < 4 {
		return false
	}
	return binary.BigEndian.Uint16(batch.Records[0].Key[2:]) == 0
}

// fromSarama copies the record: its contents are slices of Sarama's buffer for a whole
// response, which they would keep in memory. As it runs for every record, it allocates
// once for key and value, and once for the text of all headers.
func fromSarama(at kafka.TopicPartition, offset int64, written time.Time, encoded *sarama.Record) kafka.Record {
	buffer := make([]byte, 0, len(encoded.Key)+len(encoded.Value))
	keep := func(part []byte) []byte {
		if part == nil {
			return nil
		}
		begin := len(buffer)
		buffer = append(buffer, part...)
		return buffer[begin:len(buffer):len(buffer)]
	}
	return kafka.Record{
		Topic:     at.Topic,
		Partition: at.Partition,
		Offset:    offset,
		Key:       keep(encoded.Key),
		Value:     keep(encoded.Value),
		Headers:   headersFromSarama(encoded.Headers),
		Time:      written,
	}
}

// parsedHeaderSize is the memory of a kafka.Header without its text: two strings.
const parsedHeaderSize = 32

// recordSize is the memory that the record's contents need. A header without text has
// two bytes in a batch, so a record may need much more than its batch unpacks to.
func recordSize(encoded *sarama.Record) int {
	size := len(encoded.Key) + len(encoded.Value)
	for _, header := range encoded.Headers {
		size += parsedHeaderSize + len(header.Key) + len(header.Value)
	}
	return size
}

func headersFromSarama(headers []*sarama.RecordHeader) []kafka.Header {
	if len(headers) == 0 {
		return nil
	}
	size := 0
	for _, header := range headers {
		size += len(header.Key) + len(header.Value)
	}
	var text strings.Builder
	text.Grow(size)
	for _, header := range headers {
		text.Write(header.Key)
		text.Write(header.Value)
	}
	rest := text.String()
	copied := make([]kafka.Header, len(headers))
	for i, header := range headers {
		key, end := len(header.Key), len(header.Key)+len(header.Value)
		copied[i], rest = kafka.Header{Key: rest[:key], Value: rest[key:end]}, rest[end:]
	}
	return copied
}
