package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/contracts/event"
	"example.com/todo/platform/kafka"
	kafkaconsumer "example.com/todo/platform/kafka/consumer"
	"example.com/todo/stats-service/internal/stats"
)

// Counter counts events; see stats.Service.
type Counter interface {
	Resume(ctx context.Context, partition int32, log stats.LogRange) (stats.ResumePoint, error)
	Count(ctx context.Context, partition int32, from, next int64, events []stats.Event) (stats.Tally, error)
}

// Handler is a kafkaconsumer.Handler, a kafkaconsumer.OffsetStore and a kafkaconsumer.SkipObserver.
type Handler struct {
	counter Counter
	log     *slog.Logger
	metrics metrics

	nextOffsets sync.Map // int32 partition → int64 next offset to count; read from the store only when a session begins
}

// New returns a handler that registers its metrics in reg.
func New(counter Counter, log *slog.Logger, reg prometheus.Registerer) *Handler {
	return &Handler{counter: counter, log: log, metrics: newMetrics(reg)}
}

// StartOffset implements kafkaconsumer.OffsetStore. The offset stored beside the counters rules,
// and not the group's committed one.
func (h *Handler) StartOffset(ctx context.Context, partition int32, partitionLog kafka.PartitionLog) (int64, error) {
	resume, err := h.counter.Resume(ctx, partition, stats.LogRange{
		Oldest: partitionLog.Oldest, Newest: partitionLog.End, Incarnation: partitionLog.Incarnation(), Matches: partitionLog.Matches,
	})
	if err != nil {
		return 0, err
	}
	log := h.log.With("partition", partition, "from", resume.Offset, "oldest", partitionLog.Oldest, "newest", partitionLog.End)
	switch resume.Recount {
	case stats.NothingKnown:
		log.InfoContext(ctx, "counting a partition from its start: it was never counted")
	case stats.Inconsistent:
		log.ErrorContext(ctx, "the counters do not add up, perhaps because keys were removed: recounting all partitions")
	case stats.AnotherTopic:
		log.ErrorContext(ctx, "the counters belong to an earlier topic of this name: recounting all partitions",
			"stored", resume.Stored, "topic_id", partitionLog.TopicID)
	case stats.OutsideLog:
		log.ErrorContext(ctx, "the stored offset is outside the log, because the topic was created again or dropped records: recounting all partitions",
			"stored", resume.Stored)
	}
	if resume.Recount != stats.NoRecount {
		h.metrics.recounts.WithLabelValues(string(resume.Recount)).Inc()
	}
	h.nextOffsets.Store(partition, resume.Offset)
	return resume.Offset, nil
}

// Handle implements kafkaconsumer.Handler. It counts the records before the first one that
// cannot be decoded in one step.
func (h *Handler) Handle(ctx context.Context, batch []kafka.Record) (int, error) {
	partition := batch[0].Partition
	from := h.nextOffset(partition)
	redelivered := 0
	for redelivered < len(batch) && batch[redelivered].Offset < from {
		redelivered++
	}
	events, undecodable := decodeEvents(batch[redelivered:])
	handled := redelivered + len(events)
	if len(events) > 0 {
		tally, err := h.countEvents(ctx, partition, from, batch[handled-1].Offset+1, events)
		if err != nil {
			return 0, err
		}
		h.countOutcomes(ctx, partition, events, tally)
	}
	return handled, undecodable
}

// Skipped implements kafkaconsumer.SkipObserver. It advances the stored offset over records
// that were dead-lettered or replayed for another group.
func (h *Handler) Skipped(ctx context.Context, partition int32, next int64) error {
	from := h.nextOffset(partition)
	if next <= from {
		return nil
	}
	_, err := h.countEvents(ctx, partition, from, next, nil)
	return err
}

// countEvents counts the events and advances the next offset. The error is kafkaconsumer.ErrFenced when
// another member did so.
func (h *Handler) countEvents(ctx context.Context, partition int32, from, next int64, events []stats.Event) (stats.Tally, error) {
	tally, err := h.counter.Count(ctx, partition, from, next, events)
	if errors.Is(err, stats.ErrOffsetMismatch) {
		err = fmt.Errorf("%w: %w", kafkaconsumer.ErrFenced, err)
	}
	if err == nil {
		h.nextOffsets.Store(partition, next)
	}
	return tally, err
}

// countOutcomes counts the events in the metrics.
func (h *Handler) countOutcomes(ctx context.Context, partition int32, events []stats.Event, tally stats.Tally) {
	ignored := len(events) - tally.Counted - tally.Duplicates
	for _, e := range events {
		if !isKnown(e) {
			ignored--
			h.metrics.unknownTypes.Inc()
			h.log.WarnContext(ctx, "skipping an event of an unknown type",
				"type", e.Type, "partition", partition, "offset", e.Offset)
		}
	}
	h.metrics.events.WithLabelValues("counted").Add(float64(tally.Counted))
	h.metrics.events.WithLabelValues("duplicate").Add(float64(tally.Duplicates))
	h.metrics.events.WithLabelValues("ignored").Add(float64(ignored))
}

// decodeEvents returns the events before the first record that cannot be decoded, and the
// permanent error about that one.
func decodeEvents(records []kafka.Record) ([]stats.Event, error) {
	events := make([]stats.Event, 0, len(records))
	for _, record := range records {
		e, err := decodeEvent(record)
		if err != nil {
			return events, kafkaconsumer.Permanent(err)
		}
		events = append(events, e)
	}
	return events, nil
}

func decodeEvent(record kafka.Record) (stats.Event, error) {
	e, err := event.Parse(record.Value)
	user := ""
	if e.UserID != nil {
		user = strconv.FormatInt(*e.UserID, 10)
	}
	return stats.Event{
		Type: e.Type, DedupKey: e.Identity(), User: user, Timestamp: e.Timestamp,
		Offset: record.Offset, Incarnation: record.Incarnation(),
	}, err
}

func isKnown(e stats.Event) bool { return event.Event{Type: e.Type}.Known() }

func (h *Handler) nextOffset(partition int32) int64 {
	next, _ := h.nextOffsets.Load(partition)
	offset, _ := next.(int64)
	return offset
}
