package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"example.com/todo/platform/retry"
)

// What one call of Handle gets: at most maxBatchRecords, and no more once they
// weigh maxBatchMemory.
const (
	maxBatchRecords = 500
	maxBatchMemory  = 4 << 20
)

// recordBatch is what comes next in a partition.
type recordBatch struct {
	records []Record
	next    int64 // where to go on after them: past offsets without a record too
	err     error // there is none: the session has to end
}

// prefetchBatches reads the partition from the claim's position on, until stop is
// called. It reads the next response while the claim works on the last one.
func (c *partitionConsumer) prefetchBatches() (portions <-chan recordBatch, stop func()) {
	ctx, cancel := context.WithCancel(c.sessionCtx)
	ahead := make(chan recordBatch)
	r := &prefetcher{
		consumer: c, batches: ahead, at: TopicPartition{c.source.Topic(), c.source.Partition()}, position: c.position,
		trouble: holdup{log: c.log, what: "reading the partition"},
	}
	var reading sync.WaitGroup
	reading.Go(func() { r.run(ctx) })
	return ahead, func() {
		cancel()
		reading.Wait()
	}
}

// prefetcher reads a claim's partition over a connection of its own.
type prefetcher struct {
	consumer *partitionConsumer
	batches  chan<- recordBatch
	at       TopicPartition
	position int64
	conn     *Client // nil until needed and after trouble
	trouble  holdup
	pause    pause     // after a failure that trouble is not about
	failing  time.Time // since when every read fails; zero while none does
}

func (r *prefetcher) run(ctx context.Context) {
	defer r.consumer.clearUnreadable()
	defer r.disconnect()
	for ctx.Err() == nil {
		begun := time.Now()
		answer, err := r.read(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, sarama.ErrOffsetOutOfRange):
			r.send(ctx, recordBatch{err: fmt.Errorf("offset %d is not in the log", r.position)})
			return
		case err != nil:
			r.onFailure(ctx, err)
		default:
			r.onSuccess()
			nothing := answer.Next == r.position
			r.deliver(ctx, answer)
			if nothing { // a broker that has nothing waits, but not always
				retry.Wait(ctx, maxFetchWait-time.Since(begun))
			}
		}
	}
}

func (r *prefetcher) read(ctx context.Context) (fetchResult, error) {
	if r.conn == nil || r.conn.sockets.isClosed() {
		conn, err := connect(r.consumer.group.cfg.Config)
		if err != nil {
			return fetchResult{}, err
		}
		r.conn = conn
	}
	defer r.conn.abortOn(ctx)()
	return r.conn.read(r.at, r.position)
}

// deliver hands over what was read, in the batches that a handler gets.
func (r *prefetcher) deliver(ctx context.Context, answer fetchResult) {
	for _, record := range answer.Records {
		if record.Undecodable != nil {
			r.consumer.group.metrics.undecodable.Inc()
			r.consumer.setUnreadable(record.Undecodable)
			r.consumer.log.Warn("what is in the partition cannot be decoded: dead-lettering it", "offset", record.Offset, "error", record.Undecodable)
		}
	}
	for records := range slices.Chunk(answer.Records, maxBatchRecords) {
		last := records[len(records)-1].Offset + 1
		if last == answer.Records[len(answer.Records)-1].Offset+1 {
			last = answer.Next
		}
		r.send(ctx, recordBatch{records: records, next: last})
	}
	if len(answer.Records) == 0 && answer.Next > r.position {
		r.send(ctx, recordBatch{next: answer.Next})
	}
	r.position = answer.Next
}

func (r *prefetcher) send(ctx context.Context, p recordBatch) {
	select {
	case r.batches <- p:
	case <-ctx.Done():
	}
}

// onFailure waits a while. A connection that fails, or a leader that is another one
// now, is a detail for as long as a membership outlives Kafka. Then it is this
// partition that is away.
func (r *prefetcher) onFailure(ctx context.Context, err error) {
	r.disconnect() // a new connection knows the leaders of now
	if r.failing.IsZero() {
		r.failing = time.Now()
	}
	reachable := !IsConnectionError(err) && !isLeaderError(err)
	if !reachable && time.Since(r.failing) < sessionTimeout {
		r.consumer.log.Debug("a connection to Kafka fails", "error", err)
		_ = r.pause.wait(ctx)
		return
	}
	r.trouble.offset = r.position
	r.trouble.failed(err)
	if reachable {
		r.consumer.group.metrics.reported.Inc()
	}
	r.consumer.setUnreadable(err)
	_ = r.trouble.pause.wait(ctx)
}

func (r *prefetcher) onSuccess() {
	r.pause.reset()
	r.failing = time.Time{}
	if r.trouble.attempts > 0 {
		r.trouble.over()
		r.consumer.clearUnreadable()
	}
}

func (r *prefetcher) disconnect() {
	if r.conn != nil {
		r.conn.close()
		r.conn = nil
	}
}

// isLeaderError tells whether the error says that another broker leads the partition.
func isLeaderError(err error) bool {
	return errors.Is(err, sarama.ErrNotLeaderForPartition) || errors.Is(err, sarama.ErrLeaderNotAvailable) ||
		errors.Is(err, sarama.ErrReplicaNotAvailable) || errors.Is(err, sarama.ErrFencedLeaderEpoch) ||
		errors.Is(err, sarama.ErrUnknownLeaderEpoch) || errors.Is(err, sarama.ErrOffsetNotAvailable)
}

// unreadablePartitions notes that the partition cannot be read on: the group is not ready.
func (c *partitionConsumer) setUnreadable(why error) {
	c.group.membership.unreadablePartitions.Store(c.source.Partition(), why)
}

// clearUnreadable notes that it can.
func (c *partitionConsumer) clearUnreadable() {
	c.group.membership.unreadablePartitions.Delete(c.source.Partition())
}
