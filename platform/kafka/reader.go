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

// What one call of Handle gets: at most batchRecords, and no more once they
// weigh handleBytes.
const (
	batchRecords = 500
	handleBytes  = 4 << 20
)

// portion is what comes next in a partition.
type portion struct {
	records []Record
	next    int64 // where to go on after them: past offsets without a record too
	err     error // there is none: the session has to end
}

// readAhead reads the partition from the claim's position on, until stop is
// called. It reads the next response while the claim works on the last one.
func (c *claim) readAhead() (portions <-chan portion, stop func()) {
	ctx, cancel := context.WithCancel(c.session)
	ahead := make(chan portion)
	r := &partitionReader{
		claim: c, portions: ahead, at: place{c.source.Topic(), c.source.Partition()}, position: c.position,
		trouble: holdup{log: c.log, what: "reading the partition"},
	}
	var reading sync.WaitGroup
	reading.Go(func() { r.run(ctx) })
	return ahead, func() {
		cancel()
		reading.Wait()
	}
}

// partitionReader reads a claim's partition over a connection of its own.
type partitionReader struct {
	claim    *claim
	portions chan<- portion
	at       place
	position int64
	conn     *connection // nil until needed and after trouble
	trouble  holdup
	pause    pause     // after a failure that trouble is not about
	failing  time.Time // since when every read fails; zero while none does
}

func (r *partitionReader) run(ctx context.Context) {
	defer r.claim.readable()
	defer r.disconnect()
	for ctx.Err() == nil {
		begun := time.Now()
		answer, err := r.read(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, sarama.ErrOffsetOutOfRange):
			r.hand(ctx, portion{err: fmt.Errorf("offset %d is not in the log", r.position)})
			return
		case err != nil:
			r.failed(ctx, err)
		default:
			r.succeeded()
			nothing := answer.next == r.position
			r.handOver(ctx, answer)
			if nothing { // a broker that has nothing waits, but not always
				retry.Wait(ctx, fetchWait-time.Since(begun))
			}
		}
	}
}

func (r *partitionReader) read(ctx context.Context) (fetched, error) {
	if r.conn == nil || r.conn.sockets.isCut() {
		conn, err := connect(r.claim.group.cfg.Config)
		if err != nil {
			return fetched{}, err
		}
		r.conn = conn
	}
	defer r.conn.bind(ctx)()
	return r.conn.read(r.at, r.position)
}

// handOver hands over what was read, in the batches that a handler gets.
func (r *partitionReader) handOver(ctx context.Context, answer fetched) {
	for _, record := range answer.records {
		if record.Undecodable != nil {
			r.claim.group.instruments.undecodable.Inc()
			r.claim.unreadable(record.Undecodable)
			r.claim.log.Warn("what is in the partition cannot be decoded: dead-lettering it", "offset", record.Offset, "error", record.Undecodable)
		}
	}
	for records := range slices.Chunk(answer.records, batchRecords) {
		last := records[len(records)-1].Offset + 1
		if last == answer.records[len(answer.records)-1].Offset+1 {
			last = answer.next
		}
		r.hand(ctx, portion{records: records, next: last})
	}
	if len(answer.records) == 0 && answer.next > r.position {
		r.hand(ctx, portion{next: answer.next})
	}
	r.position = answer.next
}

func (r *partitionReader) hand(ctx context.Context, p portion) {
	select {
	case r.portions <- p:
	case <-ctx.Done():
	}
}

// failed waits a while. A connection that fails, or a leader that is another one
// now, is a detail for as long as a membership outlives Kafka. Then it is this
// partition that is away.
func (r *partitionReader) failed(ctx context.Context, err error) {
	r.disconnect() // a new connection knows the leaders of now
	if r.failing.IsZero() {
		r.failing = time.Now()
	}
	reachable := !aboutConnection(err) && !aboutLeader(err)
	if !reachable && time.Since(r.failing) < sessionTimeout {
		r.claim.log.Debug("a connection to Kafka fails", "error", err)
		_ = r.pause.wait(ctx)
		return
	}
	r.trouble.offset = r.position
	r.trouble.failed(err)
	if reachable {
		r.claim.group.instruments.reported.Inc()
	}
	r.claim.unreadable(err)
	_ = r.trouble.pause.wait(ctx)
}

func (r *partitionReader) succeeded() {
	r.pause.reset()
	r.failing = time.Time{}
	if r.trouble.attempts > 0 {
		r.trouble.over()
		r.claim.readable()
	}
}

func (r *partitionReader) disconnect() {
	if r.conn != nil {
		r.conn.close()
		r.conn = nil
	}
}

// aboutLeader tells whether the error says that another broker leads the partition.
func aboutLeader(err error) bool {
	return errors.Is(err, sarama.ErrNotLeaderForPartition) || errors.Is(err, sarama.ErrLeaderNotAvailable) ||
		errors.Is(err, sarama.ErrReplicaNotAvailable) || errors.Is(err, sarama.ErrFencedLeaderEpoch) ||
		errors.Is(err, sarama.ErrUnknownLeaderEpoch) || errors.Is(err, sarama.ErrOffsetNotAvailable)
}

// unreadable notes that the partition cannot be read on: the group is not ready.
func (c *claim) unreadable(why error) { c.group.presence.unreadable.Store(c.source.Partition(), why) }

// readable notes that it can.
func (c *claim) readable() { c.group.presence.unreadable.Delete(c.source.Partition()) }
