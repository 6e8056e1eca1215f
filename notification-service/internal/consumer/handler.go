// Package consumer is the Kafka handler of notification-service: it decodes each
// record to an event, hands it to the domain, and stores for each partition the
// offset below which every record was handled.
package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/contracts/event"
	"example.com/todo/notification-service/internal/notify"
	"example.com/todo/platform/kafka"
	kafkaconsumer "example.com/todo/platform/kafka/consumer"
)

// batchBudget is how long one call of Handle may send; the rest of the batch is
// returned unhandled. The consumer group treats a handler as stuck after a minute,
// however slow the sender is.
const batchBudget = 10 * time.Second

// Notifier sends the notifications of events; see notify.Service.
type Notifier interface {
	Notify(ctx context.Context, events []notify.Event) ([]notify.Outcome, error)
}

// Offsets stores for each partition the offset below which every record was
// handled, and the incarnation of the topic that the offset belongs to.
type Offsets interface {
	// Load returns the offset, 0 when none is stored, and its incarnation, "" when
	// that is unknown; see kafka.PartitionLog.Matches.
	Load(ctx context.Context, partition int32) (next int64, incarnation string, err error)
	// Bind stores the incarnation that the partition's offset belongs to, and in the same
	// step removes an offset that still is foreign; 0 for none.
	Bind(ctx context.Context, partition int32, incarnation string, foreign int64) error
	// Advance moves the offset forward only, and stores the incarnation beside it. It
	// changes nothing when the partition is bound to another topic id.
	Advance(ctx context.Context, partition int32, next int64, incarnation string) error
}

// LogEndOffsets requests for each partition the offset that its next record will
// get; see kafkaconsumer.Group.LogEndOffsets.
type LogEndOffsets func(context.Context) (map[int32]int64, error)

// Handler is a kafkaconsumer.Handler and a kafkaconsumer.OffsetStore.
type Handler struct {
	notifier Notifier
	offsets  Offsets
	logEnds  LogEndOffsets
	log      *slog.Logger
	metrics  metrics

	handledBelow sync.Map // int32 partition → int64 stored offset when its session began
}

// New returns a handler that registers its metrics in reg.
func New(notifier Notifier, offsets Offsets, logEnds LogEndOffsets, log *slog.Logger, reg prometheus.Registerer) *Handler {
	return &Handler{notifier: notifier, offsets: offsets, logEnds: logEnds, log: log, metrics: newMetrics(reg)}
}

// StartOffset implements kafkaconsumer.OffsetStore. It always returns a negative offset:
// the group's committed offset rules, and the stored one only tells Handle which
// records were handled before.
func (h *Handler) StartOffset(ctx context.Context, partition int32, log kafka.PartitionLog) (int64, error) {
	// The stored offset is behind the group's only after Redis was flushed or
	// restored. A start from there would notify everything since then again.
	next, stored, err := h.offsets.Load(ctx, partition)
	if err != nil {
		return 0, err
	}
	matches, err := log.Matches(ctx, stored)
	if err != nil {
		return 0, err
	}
	var foreign int64 // the stored offset, unless it is of this log
	switch {
	case !matches:
		h.metrics.replaced.Inc()
		h.log.ErrorContext(ctx, "the stored offset belongs to an earlier topic of this name: clearing it and continuing at the group's offset",
			"partition", partition, "stored", next, "stored_with", stored, "topic_id", log.TopicID)
		next, foreign = 0, next
	case next > log.End: // which may be outdated
		ends, err := h.logEnds(ctx)
		if err != nil {
			return 0, err
		}
		if next > ends[partition] {
			h.metrics.beyondLog.Inc()
			h.log.ErrorContext(ctx, "the stored offset is beyond the log's end, perhaps because the topic was created again: clearing it",
				"partition", partition, "stored", next, "newest", ends[partition])
			next, foreign = 0, next
		}
	}
	incarnation := log.Incarnation()
	if incarnation == "" && matches {
		incarnation = stored
	}
	if foreign > 0 || incarnation != stored {
		if err := h.offsets.Bind(ctx, partition, incarnation, foreign); err != nil {
			return 0, err
		}
	}
	h.handledBelow.Store(partition, next)
	return -1, nil
}

// Handle implements kafkaconsumer.Handler. It stores the new offset before it returns, so
// before the group may commit it.
func (h *Handler) Handle(ctx context.Context, batch []kafka.Record) (int, error) {
	stored, _ := h.handledBelow.Load(batch[0].Partition)
	handledBelow, _ := stored.(int64)
	redelivered := 0
	for redelivered < len(batch) && batch[redelivered].Offset < handledBelow {
		redelivered++
	}
	events, undecodable := decodeEvents(batch[redelivered:])
	budgetCtx, cancel := context.WithTimeout(ctx, batchBudget)
	defer cancel()
	outcomes, err := h.notifier.Notify(budgetCtx, events)
	h.metrics.events.WithLabelValues("redelivered").Add(float64(redelivered))
	for i, outcome := range outcomes {
		h.countOutcome(ctx, batch[redelivered+i], events[i], outcome)
	}
	handled := redelivered + len(outcomes)
	switch {
	case errors.Is(err, notify.ErrGivenUp):
		err = kafkaconsumer.Permanent(err)
	case handled > 0 && budgetCtx.Err() != nil && ctx.Err() == nil:
		err = nil // only the budget ended: the group hands in the rest again
	case err == nil && undecodable != nil:
		err = kafkaconsumer.Permanent(undecodable)
	}
	if len(outcomes) > 0 {
		// These records were handled even if ctx has ended.
		last := batch[handled-1]
		if err := h.offsets.Advance(context.WithoutCancel(ctx), last.Partition, last.Offset+1, last.Incarnation()); err != nil {
			return 0, err
		}
	}
	return handled, err
}

// decodeEvents returns the events before the first record that cannot be decoded, and the
// error about that one.
func decodeEvents(records []kafka.Record) ([]notify.Event, error) {
	events := make([]notify.Event, 0, len(records))
	for _, record := range records {
		e, err := event.Parse(record.Value)
		if err != nil {
			return events, err
		}
		events = append(events, notify.Event{
			Type: e.Type, DedupKey: e.Identity(), ID: e.ID,
			TaskID: e.TaskID, TaskTitle: e.TaskTitle, Timestamp: e.Timestamp,
			Position:    fmt.Sprintf("%d:%d", record.Partition, record.Offset),
			Traceparent: record.Header(event.HeaderTraceparent),
		})
	}
	return events, nil
}

func (h *Handler) countOutcome(ctx context.Context, record kafka.Record, e notify.Event, outcome notify.Outcome) {
	if (event.Event{Type: e.Type}).Known() {
		h.metrics.events.WithLabelValues(string(outcome)).Inc()
		if outcome == notify.Sent {
			h.metrics.delivery.Observe(max(0, time.Since(e.Timestamp).Seconds())) // the clocks of two machines differ
		}
		return
	}
	h.metrics.unknownTypes.Inc()
	h.log.WarnContext(ctx, "skipping an event of an unknown type",
		"type", e.Type, "partition", record.Partition, "offset", record.Offset)
}
