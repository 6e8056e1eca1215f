package fetch

import (
	"errors"
	"fmt"

	"github.com/IBM/sarama"

	"example.com/todo/platform/kafka"
)

// UndecodableError says that the broker responded, and that the response's first batch,
// or one record, cannot be decoded.
type UndecodableError struct {
	Cause       error
	First, Next int64 // the first offset, and the offset after the last one
	Size        int64 // in bytes, as stored
}

// Error names the offsets, the size and the cause.
func (e *UndecodableError) Error() string {
	if e.Next == e.First+1 {
		return fmt.Sprintf("the %d bytes at offset %d cannot be decoded: %v", e.Size, e.First, e.Cause)
	}
	return fmt.Sprintf("the batch of %d bytes at the offsets %d to %d cannot be decoded: %v", e.Size, e.First, e.Next-1, e.Cause)
}

func (e *UndecodableError) Unwrap() error { return e.Cause }

var (
	errContradiction  = errors.New("it is shorter than its header says")
	errRecordTooLarge = fmt.Errorf("it unpacks to a record of more than %d MiB", maxRecordBytes>>20)
)

// undecodableRecord is the record that stands for what cannot be decoded.
func undecodableRecord(at kafka.TopicPartition, offset int64, bad *UndecodableError) kafka.Record {
	return kafka.Record{Topic: at.Topic, Partition: at.Partition, Offset: offset, Undecodable: bad}
}

// undecodableError is the error about the first batch of the response to a request
// from that offset on.
func (i *responseInspector) undecodableError(from int64, cause error) error {
	if i.firstSize == 0 {
		return fmt.Errorf("a response was not understood: %w", cause)
	}
	first, next := max(i.firstOffset, from), i.firstNext
	// The header's offsets may be wrong too. With a position beyond the log's end the
	// group would begin anew at the log's start, and meet the batch again.
	if first >= next || next > i.lastStable {
		first, next = from, from+1
	}
	return &UndecodableError{Cause: cause, First: first, Next: next, Size: i.firstSize}
}

// isDecodeError reports whether an error that no socket returned is about the content
// of the response. Other errors are about the client, the request or a refusal.
func isDecodeError(err error) bool {
	var refusal sarama.KError
	var unsendable sarama.PacketEncodingError
	var misconfigured sarama.ConfigurationError
	return !errors.As(err, &refusal) && !errors.As(err, &unsendable) && !errors.As(err, &misconfigured) &&
		!errors.Is(err, sarama.ErrNotConnected) && !errors.Is(err, sarama.ErrClosedClient) &&
		!errors.Is(err, sarama.ErrUnsupportedVersion)
}

// isTruncated reports whether Sarama takes the block's first batch for the beginning
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
