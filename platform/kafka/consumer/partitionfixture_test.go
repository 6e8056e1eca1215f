package consumer

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/consumer/quarantine"
)

// scriptedHandler is a Handler and an OffsetStore of two functions.
type scriptedHandler struct {
	handle func(ctx context.Context, batch []kafka.Record) (int, error)
	start  func(oldest, newest int64) (int64, error)
}

func (s scriptedHandler) Handle(ctx context.Context, batch []kafka.Record) (int, error) {
	return s.handle(ctx, batch)
}

func (s scriptedHandler) StartOffset(_ context.Context, _ int32, log kafka.PartitionLog) (int64, error) {
	return s.start(log.Oldest, log.End)
}

func handleAll(_ context.Context, batch []kafka.Record) (int, error) { return len(batch), nil }

// runningConsumer is a partitionConsumer without a Kafka, which gets the batches that
// its test sends.
type runningConsumer struct {
	*partitionConsumer
	batches    chan recordBatch
	committed  []int64
	endSession context.CancelFunc
	result     chan error
}

// startConsumer starts with records at these offsets, in one batch.
func startConsumer(t *testing.T, s scriptedHandler, offsets ...int64) *runningConsumer {
	return startConsumerIn(t, newTestGroup(s, nil), 0, offsets...)
}

// newTestGroup returns a group without a Kafka, whose partition 0 ends at 100.
func newTestGroup(h Handler, store quarantine.Store) *Group {
	cfg := GroupConfig{Group: "readers", Topic: "things", DLQ: "things-dlq", Quarantine: store}
	group := NewGroup(cfg, h, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	group.metrics.lag.ends = map[int32]int64{0: 100}
	return group
}

func startConsumerIn(t *testing.T, group *Group, partition int32, offsets ...int64) *runningConsumer {
	session, end := context.WithCancel(t.Context())
	drain, cancel := extend(session, drainTimeout)
	p := &runningConsumer{batches: make(chan recordBatch, 100), endSession: end, result: make(chan error, 1)}
	p.partitionConsumer = &partitionConsumer{
		group: group, log: group.log, sessionCtx: session, drainCtx: drain,
		topicPartition: kafka.TopicPartition{Topic: "things", Partition: partition},
		prefetch:       func() (<-chan recordBatch, func()) { return p.batches, func() {} },
		markOffset:     func(offset int64, _ string) { p.committed = append(p.committed, offset) },
		commitOffsets:  func() {},
		currentTopicID: func(context.Context) (string, error) { return "", nil },
		tracker:        group.newTracker(partition, kafka.PartitionLog{}),

		partitionPosition: partitionPosition{position: 10, lowestStored: 10, logAtStart: kafka.PartitionLog{End: 100}},
	}
	if len(offsets) > 0 {
		p.send(offsets...)
	}
	go func() {
		defer cancel()
		p.result <- p.run()
	}()
	t.Cleanup(end)
	return p
}

// send sends records at these offsets, in one batch.
func (p *runningConsumer) send(offsets ...int64) {
	batch := recordBatch{next: offsets[len(offsets)-1] + 1}
	for _, offset := range offsets {
		batch.records = append(batch.records, kafka.Record{Topic: "things", Partition: p.topicPartition.Partition, Offset: offset})
	}
	p.batches <- batch
}

// lastCommitted is the offset committed last, or 0.
func (p *runningConsumer) lastCommitted() int64 {
	if len(p.committed) == 0 {
		return 0
	}
	return p.committed[len(p.committed)-1]
}

// ended returns the consumer's error if it has ended.
func (p *runningConsumer) ended() (ended bool, err error) {
	synctest.Wait()
	select {
	case err := <-p.result:
		return true, err
	default:
		return false, nil
	}
}

// advanceClock moves synctest's clock.
func advanceClock(by time.Duration) {
	time.Sleep(by) //nolint:forbidigo // no time passes
	synctest.Wait()
}
