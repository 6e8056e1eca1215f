// Package fetch reads committed records of one partition by single fetch requests.
// It bounds the memory of a response, and names the batch that cannot be decoded.
//
//	socket ─> response takes the batches out ─> Sarama decodes the rest
//	               └─> decoder: batch by batch, as a stream ─> records
//
// Sarama would unpack every batch of a response at once, and shows nothing of a response
// that it cannot decode. So this package decodes the batches itself. Of all partitions
// of the process one response at a time is decoded: MaxUnpackedBytes of a batch at most.
// MaxResultBytes of it and one record more are kept; the rest is requested again. So a
// partition keeps at most twice that: the batch that is handled, and the next.
package fetch

import (
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/internal/client"
)

const (
	// MaxWait is how long a broker may delay a response that has no records.
	MaxWait = 500 * time.Millisecond
	// MaxResultBytes bounds the records of one Result; the last one may exceed it.
	MaxResultBytes = 4 << 20

	fetchVersion  = 11      // of Kafka 2.3: the last one without flexible fields
	maxFetchBytes = 1 << 20 // requested of a partition; a larger batch comes whole
)

// Result is what one request returned.
type Result struct {
	Records []kafka.Record // committed ones, from the requested offset on
	// Next is the offset to continue at: after records that no reader gets, too. It is
	// the requested offset if the log has nothing more.
	Next int64
}

// Fetch returns the partition's records from an offset on. A batch that cannot be
// decoded is a Result of one record, whose Undecodable is an *UndecodableError. The
// error is sarama.ErrOffsetOutOfRange if the log does not have the offset, another
// sarama.KError if the broker refuses, and otherwise about the connection. Nothing else
// may use the client meanwhile, and the caller aborts the client when its context ends.
func Fetch(c *client.Client, at kafka.TopicPartition, from int64) (Result, error) {
	result, err := fetchOnce(c, at, from, maxFetchBytes)
	var bad *UndecodableError
	if errors.As(err, &bad) {
		// The damage may be the network's. A second response, of one batch alone, tells.
		result, err = fetchOnce(c, at, from, 1)
	}
	if errors.As(err, &bad) {
		record := kafka.Record{Topic: at.Topic, Partition: at.Partition, Offset: from, Undecodable: bad}
		return Result{Records: []kafka.Record{record}, Next: bad.Next}, nil
	}
	return result, err
}

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
	return fmt.Sprintf("the batch of %d bytes at the offsets %d to %d cannot be decoded: %v",
		e.Size, e.First, e.Next-1, e.Cause)
}

func (e *UndecodableError) Unwrap() error { return e.Cause }

var (
	errUnsupportedFormat = errors.New("its format is not that of Kafka 0.11 and later")
	errWrongLength       = errors.New("it does not have the length or the number of records that it says")
	errWrongChecksum     = errors.New("its checksum is wrong")
	errTooManyEntries    = fmt.Errorf("it has more than %d records and headers", maxBatchEntries)
	errRecordTooLarge    = fmt.Errorf("it unpacks to a record of more than %d MiB", maxRecordBytes>>20)
	errResponseTooLong   = fmt.Errorf("it has more than %d MiB", client.MaxResponseBytes>>20)
)

// HasRecord reports whether the log has a record of that short fingerprint at the
// offset, or has deleted what it had there.
func HasRecord(c *client.Client, at kafka.TopicPartition, offset int64, fingerprint string) (bool, error) {
	end, err := c.GetOffset(at.Topic, at.Partition, sarama.OffsetNewest)
	if err != nil {
		return false, err
	}
	if offset >= end {
		return false, nil
	}
	result, err := fetchOnce(c, at, offset, 1)
	var undecodable *UndecodableError
	switch {
	case errors.Is(err, sarama.ErrOffsetOutOfRange): // deleted by retention
		return true, nil
	case errors.As(err, &undecodable): // the record in question was decoded once
		return false, nil
	case err != nil:
		return false, err
	case len(result.Records) == 0 || result.Records[0].Offset > offset: // removed by compaction
		return true, nil
	}
	return result.Records[0].ShortFingerprint() == fingerprint, nil
}

// fetchOnce sends one request for that many bytes, or one batch that is larger. The
// error is an *UndecodableError if the response's first batch cannot be decoded.
func fetchOnce(c *client.Client, at kafka.TopicPartition, from int64, bytes int32) (Result, error) {
	leader, err := c.Leader(at.Topic, at.Partition)
	if err != nil {
		return Result{}, err
	}
	// The handshake's response must not be taken for the one to intercept: wait for it.
	if _, err := leader.Connected(); err != nil {
		return Result{}, err
	}
	received := &response{at: at}
	defer c.Intercept(received.receive)()
	envelope, err := leader.Fetch(newRequest(at, from, bytes))
	if err != nil {
		_ = leader.Close() // otherwise Sarama hands out the broken connection again
		if received.tooLong {
			return Result{}, received.undecodableError(from, errResponseTooLong)
		}
		return Result{}, err
	}
	block := envelope.GetBlock(at.Topic, at.Partition)
	switch {
	case block == nil:
		return Result{}, sarama.ErrIncompleteResponse
	case block.Err != sarama.ErrNoError:
		return Result{}, block.Err
	}
	result, err := received.decode(from, block.AbortedTransactions)
	if err != nil {
		_ = leader.Close() // the next response comes over a new connection
	}
	return result, err
}

func newRequest(at kafka.TopicPartition, from int64, bytes int32) *sarama.FetchRequest {
	request := &sarama.FetchRequest{
		Version:      fetchVersion,
		Isolation:    sarama.ReadCommitted,
		MinBytes:     1,
		MaxBytes:     bytes,
		MaxWaitTime:  int32(MaxWait / time.Millisecond),
		SessionEpoch: -1, // no fetch session
	}
	request.AddBlock(at.Topic, at.Partition, from, bytes, -1)
	return request
}
