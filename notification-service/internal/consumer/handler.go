// Package consumer is the Kafka handler of notification-service: it decodes each
// record to an event, hands it to the domain, and stores for each partition the
// offset below which every record was handled.
package consumer

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

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
	// Bind stores the incarnation that the partition's offset belongs to.
	Bind(ctx context.Context, partition int32, incarnation string) error
	// Advance moves the offset forward only, and stores the incarnation beside it. It
	// changes nothing when the partition is bound to another topic id.
	Advance(ctx context.Context, partition int32, next int64, incarnation string) error
	// Clear removes the offset if it still is next.
	Clear(ctx context.Context, partition int32, next int64) error
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
	return &Handler{
		notifier: notifier, offsets: offsets, logEnds: logEnds,
		log: log, metrics: newMetrics(reg),
	}
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
	switch {
	case !matches:
		next, err = 0, h.clearReplacedOffset(ctx, partition, next, stored, log)
	case next > log.End:
		next, err = h.validateStoredOffset(ctx, partition, next)
	}
	if err != nil {
		return 0, err
	}
	// Bind comes last: an offset that is to be cleared must not count for the new topic.
	if current := log.Incarnation(); current != stored && (current != "" || !matches) {
		if err := h.offsets.Bind(ctx, partition, current); err != nil {
			return 0, err
		}
	}
	h.handledBelow.Store(partition, next)
	return -1, nil
}

func (h *Handler) clearReplacedOffset(ctx context.Context, partition int32, next int64, incarnation string, log kafka.PartitionLog) error {
	h.metrics.replaced.Inc()
	h.log.ErrorContext(ctx, "the stored offset belongs to an earlier topic of this name: clearing it and continuing at the group's offset",
		"partition", partition, "stored", next, "stored_with", incarnation, "topic_id", log.TopicID)
	return h.offsets.Clear(ctx, partition, next)
}

// validateStoredOffset returns the stored offset. If the offset is beyond the log's
// end, it is cleared and the result is 0.
func (h *Handler) validateStoredOffset(ctx context.Context, partition int32, stored int64) (int64, error) {
	// The log's end that StartOffset was given may be outdated.
	ends, err := h.logEnds(ctx)
	if err != nil || stored <= ends[partition] {
		return stored, err
	}
	h.metrics.beyondLog.Inc()
	h.log.ErrorContext(ctx, "the stored offset is beyond the log's end, perhaps because the topic was created again: clearing it",
		"partition", partition, "stored", stored, "newest", ends[partition])
	return 0, h.offsets.Clear(ctx, partition, stored)
}

// Handle implements kafkaconsumer.Handler. It stores the new offset before it returns, so
// before the group may commit it.
func (h *Handler) Handle(ctx context.Context, batch []kafka.Record) (int, error) {
	handledBelow, _ := h.handledBelow.Load(batch[0].Partition)
	offset, _ := handledBelow.(int64)
	decoded, undecodable := decodeBatch(batch, offset)
	var events []notify.Event
	for _, r := range decoded {
		if r.isForDomain() {
			events = append(events, r.domainEvent())
		}
	}
	budgetCtx, cancel := context.WithTimeout(ctx, batchBudget)
	defer cancel()
	outcomes, err := h.notifier.Notify(budgetCtx, events)
	handled := h.countOutcomes(ctx, decoded, outcomes)
	switch {
	case errors.Is(err, notify.ErrGivenUp):
		err = kafkaconsumer.Permanent(err)
	case handled > 0 && budgetCtx.Err() != nil && ctx.Err() == nil:
		err = nil // only the budget ended: the group hands in the rest again
	case err == nil && undecodable != nil:
		err = kafkaconsumer.Permanent(undecodable)
	}
	if handled > 0 && !decoded[handled-1].redelivered {
		// These records were handled even if ctx has ended.
		last := decoded[handled-1].record
		if err := h.offsets.Advance(context.WithoutCancel(ctx), last.Partition, last.Offset+1, last.Incarnation()); err != nil {
			return 0, err
		}
	}
	return handled, err
}

// countOutcomes counts the handled records in the metrics and returns their number.
// outcomes belongs to the records for the domain, and may be shorter.
func (h *Handler) countOutcomes(ctx context.Context, decoded []decodedRecord, outcomes []notify.Outcome) (handled int) {
	for _, r := range decoded {
		switch {
		case r.redelivered:
			h.metrics.events.WithLabelValues("redelivered").Inc()
		case !r.event.Known():
			h.metrics.unknownTypes.Inc()
			h.log.WarnContext(ctx, "skipping an event of an unknown type",
				"type", r.event.Type, "partition", r.record.Partition, "offset", r.record.Offset)
		case len(outcomes) == 0:
			return handled
		default:
			h.metrics.events.WithLabelValues(string(outcomes[0])).Inc()
			outcomes = outcomes[1:]
		}
		handled++
	}
	return handled
}
