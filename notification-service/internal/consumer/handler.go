// Package consumer is notification-service's side of the topic: it reads a
// record as an event, hands it to the domain, and keeps count of how far each
// partition was handled.
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
	"example.com/todo/platform/kafka/consumer"
)

// turn is after how long the rest of a batch is handed back. The group loses
// patience after a minute, whatever the sender's pace.
const turn = 10 * time.Second

// Notifier does what events ask for; see notify.Service.
type Notifier interface {
	Notify(ctx context.Context, events []notify.Event) ([]notify.Outcome, error)
}

// Offsets is the ledger of handled records: for each partition the offset below
// which all were handled, 0 when nobody knows.
type Offsets interface {
	// Load returns the offset, and the origin of the log it belongs to, "" when
	// unknown; see kafka.PartitionLog.Owns.
	Load(ctx context.Context, partition int32) (next int64, origin string, err error)
	// Bind stores the origin of the log that the partition's offset belongs to.
	Bind(ctx context.Context, partition int32, origin string) error
	// Advance moves forward only, and stores the origin beside the offset. It changes
	// nothing when the offset is bound to another topic id than the origin's.
	Advance(ctx context.Context, partition int32, next int64, origin string) error
	// Forget removes the offset if it still is the given one.
	Forget(ctx context.Context, partition int32, next int64) error
}

// LogEndOffsets asks for each partition for the offset that its next record will get;
// see consumer.Group.Ends.
type LogEndOffsets func(context.Context) (map[int32]int64, error)

// Handler is a consumer.Handler and a consumer.OffsetStore.
type Handler struct {
	notifier Notifier
	offsets  Offsets
	survey   LogEndOffsets
	log      *slog.Logger
	metrics  metrics

	mu      sync.Mutex
	handled map[int32]int64 // per partition, what the ledger said when the claim began
}

// New returns a handler that counts in reg.
func New(notifier Notifier, offsets Offsets, survey LogEndOffsets, log *slog.Logger, reg prometheus.Registerer) *Handler {
	return &Handler{
		notifier: notifier, offsets: offsets, survey: survey,
		log: log, metrics: newMetrics(reg), handled: map[int32]int64{},
	}
}

// Start implements consumer.OffsetStore. The group's committed offset always rules, so
// the answer is negative: the ledger only tells Handle which records it knows.
// It is never behind the group's offset but in a flushed or restored Redis, and
// going back to it would then notify everything since again.
func (h *Handler) StartOffset(ctx context.Context, partition int32, log kafka.PartitionLog) (int64, error) {
	next, origin, err := h.offsets.Load(ctx, partition)
	if err != nil {
		return 0, err
	}
	owned, err := log.Matches(ctx, origin)
	if err != nil {
		return 0, err
	}
	switch {
	case !owned:
		next, err = 0, h.forgetReplaced(ctx, partition, next, origin, log)
	case next > log.Newest:
		next, err = h.judge(ctx, partition, next)
	}
	if err != nil {
		return 0, err
	}
	// Bound only now: an offset that is forgotten must not count for the new topic.
	if known := log.Incarnation(); known != origin && (known != "" || !owned) {
		if err := h.offsets.Bind(ctx, partition, known); err != nil {
			return 0, err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.handled[partition] = next
	return -1, nil
}

func (h *Handler) forgetReplaced(ctx context.Context, partition int32, stored int64, origin string, log kafka.PartitionLog) error {
	h.metrics.replaced.Inc()
	h.log.ErrorContext(ctx, "the stored offset is of an earlier topic of this name: forgetting it, and going on with the group's",
		"partition", partition, "stored", stored, "stored_with", origin, "topic_id", log.TopicID)
	return h.offsets.Forget(ctx, partition, stored)
}

// judge returns the stored offset, or forgets it when it is beyond the end that
// the log has now: the one that Start is given may be old.
func (h *Handler) judge(ctx context.Context, partition int32, stored int64) (int64, error) {
	ends, err := h.survey(ctx)
	if err != nil || stored <= ends[partition] {
		return stored, err
	}
	h.metrics.beyond.Inc()
	h.log.ErrorContext(ctx, "the stored offset is beyond the end of the log: was the topic made anew? Forgetting it",
		"partition", partition, "stored", stored, "newest", ends[partition])
	return 0, h.offsets.Forget(ctx, partition, stored)
}

// Handle implements consumer.Handler. What was handled is in the ledger before the
// group may commit it.
func (h *Handler) Handle(ctx context.Context, batch []kafka.Record) (int, error) {
	readings, unreadable := read(batch, h.knownBelow(batch[0].Partition))
	var events []notify.Event
	for _, r := range readings {
		if r.asks() {
			events = append(events, r.forDomain())
		}
	}
	some, cancel := context.WithTimeout(ctx, turn)
	defer cancel()
	outcomes, err := h.notifier.Notify(some, events)
	handled := h.settle(ctx, readings, outcomes)
	switch {
	case errors.Is(err, notify.ErrGivenUp):
		err = consumer.Permanent(err)
	case handled > 0 && some.Err() != nil && ctx.Err() == nil:
		err = nil // the rest comes again
	case err == nil && unreadable != nil:
		err = consumer.Permanent(unreadable)
	}
	if handled > 0 && !readings[handled-1].redelivered {
		// Whether or not ctx has ended: it was handled.
		last := readings[handled-1].record
		if err := h.offsets.Advance(context.WithoutCancel(ctx), last.Partition, last.Offset+1, last.Incarnation()); err != nil {
			return 0, err
		}
	}
	return handled, err
}

// settle counts what became of the records and returns of how many: outcomes
// says it for those that asked for something, and may end early.
func (h *Handler) settle(ctx context.Context, readings []reading, outcomes []notify.Outcome) (handled int) {
	for _, r := range readings {
		switch {
		case r.redelivered:
			h.metrics.events.WithLabelValues("redelivered").Inc()
		case !r.event.Known():
			h.metrics.unknown.Inc()
			h.log.WarnContext(ctx, "passing over an event of an unknown type",
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

func (h *Handler) knownBelow(partition int32) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.handled[partition]
}
