// Package consumer is stats-service's side of the topic: it reads records as
// events, hands them to the domain a batch at a time, and knows at which offset
// each of its partitions was left.
package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/contracts/event"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/consumer"
	"example.com/todo/stats-service/internal/stats"
)

// Counter counts events; see stats.Service.
type Counter interface {
	Begin(ctx context.Context, partition int32, log stats.LogRange) (stats.ResumePoint, error)
	Count(ctx context.Context, partition int32, from, next int64, events []stats.Event) (stats.Tally, error)
}

// Handler is a consumer.Handler and a consumer.OffsetStore.
type Handler struct {
	counter Counter
	log     *slog.Logger
	metrics metrics

	mu   sync.Mutex
	left map[int32]int64 // per partition, where counting was left: never read again while it goes on
}

// New returns a handler that counts what it does in reg.
func New(counter Counter, log *slog.Logger, reg prometheus.Registerer) *Handler {
	return &Handler{counter: counter, log: log, metrics: newMetrics(reg), left: map[int32]int64{}}
}

// Start implements consumer.OffsetStore: the offset stored beside the counters rules.
func (h *Handler) StartOffset(ctx context.Context, partition int32, bounds kafka.PartitionLog) (int64, error) {
	b, err := h.counter.Begin(ctx, partition, stats.LogRange{
		Oldest: bounds.Oldest, Newest: bounds.Newest, Origin: bounds.Incarnation(), Owns: bounds.Matches,
	})
	if err != nil {
		return 0, err
	}
	log := h.log.With("partition", partition, "from", b.Offset, "oldest", bounds.Oldest, "newest", bounds.Newest)
	switch b.Recount {
	case stats.NothingKnown:
		log.InfoContext(ctx, "counting a partition from its beginning: nothing is known of it")
	case stats.Inconsistent:
		log.ErrorContext(ctx, "the counters do not add up: were keys removed? Counting everything anew")
	case stats.AnotherTopic:
		log.ErrorContext(ctx, "what was counted is of an earlier topic of this name: counting everything anew",
			"stored", b.Stored, "topic_id", bounds.TopicID)
	case stats.OutsideLog:
		log.ErrorContext(ctx, "the stored offset is not in the log: was the topic made anew, or did it drop records? Counting everything anew",
			"stored", b.Stored)
	}
	if b.Recount != stats.NoRecount {
		h.metrics.recounts.WithLabelValues(string(b.Recount)).Inc()
	}
	h.setLeft(partition, b.Offset)
	return b.Offset, nil
}

// Handle implements consumer.Handler. Everything before the first unreadable record
// is counted in one step.
func (h *Handler) Handle(ctx context.Context, batch []kafka.Record) (int, error) {
	partition := batch[0].Partition
	left := h.leftAt(partition)
	read := h.read(ctx, batch, left)
	if read.count == 0 || batch[read.count-1].Offset < left {
		return read.count, read.refused
	}
	next := batch[read.count-1].Offset + 1
	tally, err := h.counter.Count(ctx, partition, left, next, read.events)
	if errors.Is(err, stats.ErrOffsetMismatch) {
		return 0, fmt.Errorf("%w: %w", consumer.ErrFenced, err)
	}
	if err != nil {
		return 0, err
	}
	h.setLeft(partition, next)
	h.metrics.count(tally, len(read.events), read.unknown)
	return read.count, read.refused
}

// Passed tells the handler that the records below next were done with without
// it: dead-lettered, or meant for another group.
func (h *Handler) Skipped(ctx context.Context, partition int32, next int64) error {
	left := h.leftAt(partition)
	if next <= left {
		return nil
	}
	_, err := h.counter.Count(ctx, partition, left, next, nil)
	if errors.Is(err, stats.ErrOffsetMismatch) {
		return fmt.Errorf("%w: %w", consumer.ErrFenced, err)
	}
	if err != nil {
		return err
	}
	h.setLeft(partition, next)
	return nil
}

// reading is what a batch's records are, up to the first unreadable one.
type reading struct {
	events  []stats.Event // of known types
	unknown int           // events of other types
	count   int           // records read
	refused error         // about the record after them
}

// read leaves out what lies below left: it is counted already.
func (h *Handler) read(ctx context.Context, batch []kafka.Record, left int64) reading {
	var r reading
	for _, record := range batch {
		if record.Offset >= left {
			e, known, err := eventOf(record)
			if err != nil {
				r.refused = consumer.Permanent(err)
				return r
			}
			if known {
				r.events = append(r.events, e)
			} else {
				r.unknown++
				h.log.WarnContext(ctx, "passing over an event of an unknown type",
					"type", e.Type, "partition", record.Partition, "offset", record.Offset)
			}
		}
		r.count++
	}
	return r
}

// eventOf reads a record; known is false for an event of another type than
// there are.
func eventOf(record kafka.Record) (e stats.Event, known bool, err error) {
	parsed, err := event.Parse(record.Value)
	e = stats.Event{Type: parsed.Type, Mark: parsed.Identity(), At: parsed.Timestamp, Offset: record.Offset, Origin: record.Incarnation()}
	return e, parsed.Known(), err
}

func (h *Handler) leftAt(partition int32) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.left[partition]
}

func (h *Handler) setLeft(partition int32, offset int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.left[partition] = offset
}
