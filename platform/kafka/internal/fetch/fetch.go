// Package fetch reads committed records of one partition by single fetch requests.
// It bounds the memory of a response, and names the batch that cannot be decoded.
//
//	socket ─> inspector: whole batches that fit into the bounds ─> Sarama decodes ─> copies of the records
//
// Sarama unpacks every batch of a response at once, and shows nothing of a response
// that it cannot decode. The inspector therefore reads the response first. Of all
// partitions of the process one response at a time is decoded: MaxUnpackedBytes at
// most, with maxMemoryOverhead around it. MaxResultBytes of it and one record more are
// kept; the rest is requested again. So a partition keeps at most twice that: the
// batch that is handled, and the next.
package fetch

import (
	"errors"
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

	fetchVersion  = 11       // of Kafka 2.3: the last one without flexible fields
	maxFetchBytes = 1 << 20  // requested of a partition; a larger batch comes whole
	minFetchBytes = 64 << 10 // requested where the inspector would cut off more
)

// Result is what one request returned.
type Result struct {
	Records []kafka.Record // committed ones, from the requested offset on
	// Next is the offset to continue at: after records that no reader gets, too. It is
	// the requested offset if the log has nothing more.
	Next int64

	nextSize int32 // bytes that the next request asks for
}

// Fetcher reads one partition. It is for one goroutine.
type Fetcher struct {
	at   kafka.TopicPartition
	size int32 // bytes that the next request asks for
}

// New returns a fetcher of the partition.
func New(at kafka.TopicPartition) *Fetcher { return &Fetcher{at: at, size: maxFetchBytes} }

// Fetch returns the records from an offset on. A batch that cannot be decoded is a
// Result of one record, whose Undecodable is an *UndecodableError. The error is
// sarama.ErrOffsetOutOfRange if the log does not have the offset, another
// sarama.KError if the broker refuses, and otherwise about the connection. Nothing
// else may use the client meanwhile, and the caller aborts the client when its context
// ends.
func (f *Fetcher) Fetch(c *client.Client, from int64) (Result, error) {
	result, err := fetchOnce(c, f.at, from, f.size)
	var bad *UndecodableError
	if errors.As(err, &bad) {
		// The damage may be behind the first batch, or the network's. One batch alone tells.
		result, err = fetchOnce(c, f.at, from, 1)
	}
	if errors.As(err, &bad) {
		return Result{Records: []kafka.Record{undecodableRecord(f.at, from, bad)}, Next: bad.Next}, nil
	}
	if err == nil {
		f.size = result.nextSize
	}
	return result, err
}

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
// error is an *UndecodableError if the response's first batch cannot be decoded, or,
// unless bytes is 1, one behind it.
func fetchOnce(c *client.Client, at kafka.TopicPartition, from int64, bytes int32) (Result, error) {
	leader, err := c.Leader(at.Topic, at.Partition)
	if err != nil {
		return Result{}, err
	}
	// The handshake's response must not be taken for the one to intercept: wait for it.
	if _, err := leader.Connected(); err != nil {
		return Result{}, err
	}
	failures := c.SocketFailures()
	inspector := &responseInspector{at: at}
	stop := c.Intercept(inspector.readResponse)
	defer inspector.release()
	defer stop()
	response, err := leader.Fetch(newRequest(at, from, bytes))
	if err != nil {
		_ = leader.Close() // otherwise Sarama hands out the broken connection again
		// Without a failure of a socket the response arrived whole, so decoding it failed.
		if c.SocketFailures() == failures && isDecodeError(err) {
			return Result{}, inspector.undecodableError(from, err)
		}
		return Result{}, err
	}
	block := response.GetBlock(at.Topic, at.Partition)
	switch {
	case block == nil:
		return Result{}, sarama.ErrIncompleteResponse
	case block.Err != sarama.ErrNoError:
		return Result{}, block.Err
	case isTruncated(block), len(block.RecordsSet) != inspector.keptBatches:
		// The inspector passed whole batches on, so one of them contradicts its own header.
		return Result{}, inspector.undecodableError(from, errContradiction)
	}
	inspector.unpackedBytes = saramaMemory(block)
	result := Result{Next: from, nextSize: maxFetchBytes}
	if inspector.truncated {
		result.nextSize = min(max(2*int32(inspector.keptBytes), minFetchBytes), maxFetchBytes)
	}
	if result.appendBatches(at, block) {
		result.Next = max(result.Next, inspector.next) // after batches that compaction emptied
	}
	return result, nil
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
