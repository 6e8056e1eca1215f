package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/cenkalti/backoff/v5"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/internal/client"
	"example.com/todo/platform/kafka/internal/fetch"
	"example.com/todo/platform/retry"
)

const (
	// maxBatchRecords is the most records of one call of Handle. Their size is bounded by
	// fetch.MaxResultBytes.
	maxBatchRecords = 500
	// unreachableGrace is how long a partition's reads may fail for reasons of the network
	// before the group is not ready. If all of Kafka is unavailable, the member loses its
	// session within that time. Otherwise this partition's leader is unavailable.
	unreachableGrace = 10 * time.Second
)

// recordBatch is what comes next in a partition.
type recordBatch struct {
	records []kafka.Record
	next    int64 // the offset to continue at: after offsets without a record too
	err     error // if set, there are no records and the session has to end
}

// prefetchBatches reads the partition from the consumer's position on, until stop is
// called. It fetches the next response while the consumer works on the last one.
func (c *partitionConsumer) prefetchBatches() (batches <-chan recordBatch, stop func()) {
	ctx, cancel := context.WithCancel(c.sessionCtx)
	prefetched := make(chan recordBatch)
	p := &prefetcher{
		consumer: c, batches: prefetched, position: c.position,
		client: c.group.connector.NewLazy(), delays: retryBackoff.Delays(),
	}
	var reading sync.WaitGroup
	reading.Go(func() { p.run(ctx) })
	return prefetched, func() {
		cancel()
		reading.Wait()
	}
}

// prefetcher reads a partition over a connection of its own.
type prefetcher struct {
	consumer     *partitionConsumer
	batches      chan<- recordBatch
	position     int64
	client       *client.Lazy
	delays       *backoff.ExponentialBackOff
	firstFailure time.Time     // of the present row of failures; zero if the last read succeeded
	outage       *retry.Outage // nil unless the present failures are more than a connection's
}

func (p *prefetcher) run(ctx context.Context) {
	defer p.consumer.setUnreadable(nil)
	defer p.client.Close()
	for ctx.Err() == nil {
		begun := time.Now()
		var result fetch.Result
		err := p.client.Do(ctx, func(c *client.Client) (err error) {
			result, err = fetch.Fetch(c, p.consumer.topicPartition, p.position)
			return err
		})
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, sarama.ErrOffsetOutOfRange):
			p.send(ctx, recordBatch{err: fmt.Errorf("offset %d is not in the log", p.position)})
			return
		case err != nil:
			p.onFailure(ctx, err)
		default:
			p.onSuccess(ctx)
			isEmpty := result.Next == p.position
			p.deliver(ctx, result)
			if isEmpty {
				// The broker delays a response without records, but not always.
				retry.Wait(ctx, fetch.MaxWait-time.Since(begun))
			}
		}
	}
}

// deliver sends the records in the batches that a handler gets.
func (p *prefetcher) deliver(ctx context.Context, result fetch.Result) {
	for _, record := range result.Records {
		if record.Undecodable != nil {
			p.consumer.group.metrics.undecodable.Inc()
			p.consumer.setUnreadable(record.Undecodable)
			p.consumer.log.Warn("kafka consumer: a batch cannot be decoded, dead-lettering it", "offset", record.Offset, "error", record.Undecodable)
		}
	}
	for records := range slices.Chunk(result.Records, maxBatchRecords) {
		next := records[len(records)-1].Offset + 1
		if next == result.Records[len(result.Records)-1].Offset+1 {
			next = result.Next
		}
		p.send(ctx, recordBatch{records: records, next: next})
	}
	if len(result.Records) == 0 && result.Next > p.position {
		p.send(ctx, recordBatch{next: result.Next})
	}
	p.position = result.Next
}

func (p *prefetcher) send(ctx context.Context, batch recordBatch) {
	select {
	case p.batches <- batch:
	case <-ctx.Done():
	}
}

// onFailure waits for the next attempt, and makes the group not ready if the broker
// refuses, or the network's failures outlast unreachableGrace.
func (p *prefetcher) onFailure(ctx context.Context, err error) {
	if p.firstFailure.IsZero() {
		p.firstFailure = time.Now()
	}
	refused := !client.IsConnectionError(err) && !client.IsLeaderError(err)
	if refused {
		p.consumer.group.metrics.reported.Inc()
	}
	if refused || time.Since(p.firstFailure) >= unreachableGrace {
		if p.outage == nil {
			p.outage = newOutage(p.consumer.log, "reading the partition", p.position)
		}
		p.outage.Record(ctx, err)
		p.consumer.setUnreadable(err)
	} else {
		p.consumer.log.Debug("kafka consumer: a connection failed", "error", err)
	}
	retry.Wait(ctx, p.delays.NextBackOff())
}

func (p *prefetcher) onSuccess(ctx context.Context) {
	p.delays.Reset()
	p.firstFailure = time.Time{}
	if p.outage != nil {
		p.outage.Record(ctx, nil)
		p.outage = nil
		p.consumer.setUnreadable(nil)
	}
}

// setUnreadable makes the group not ready for that reason; nil ends it.
func (c *partitionConsumer) setUnreadable(reason error) {
	c.group.membership.setUnreadable(c.topicPartition.Partition, reason)
}
