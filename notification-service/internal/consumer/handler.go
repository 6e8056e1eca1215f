// Package consumer is notification-service's side of the topic: it reads a
// record as an event, hands it to the domain, and keeps count of how far each
// partition was handled.
package consumer

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/contracts/event"
	"example.com/todo/notification-service/internal/notify"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/tracing"
)

// Notifier does what an event asks for; see notify.Service.
type Notifier interface {
	Notify(ctx context.Context, e notify.Event) (notify.Outcome, error)
}

// Offsets is the ledger of handled records: for each partition the offset below
// which all were handled, 0 when nobody knows.
type Offsets interface {
	Load(ctx context.Context, partition int32) (int64, error)
	// Advance moves forward only.
	Advance(ctx context.Context, partition int32, next int64) error
	// Forget removes the offset if it still is the given one.
	Forget(ctx context.Context, partition int32, next int64) error
}

// Survey asks for each partition for the offset that its next record will get;
// see kafka.Group.Ends.
type Survey func(context.Context) (map[int32]int64, error)

// Handler is a kafka.Handler and a kafka.Ledger.
type Handler struct {
	notifier Notifier
	offsets  Offsets
	survey   Survey
	log      *slog.Logger
	metrics  metrics

	mu      sync.Mutex
	handled map[int32]int64 // per partition, what the ledger said when the claim began
}

// New returns a handler that counts in reg.
func New(notifier Notifier, offsets Offsets, survey Survey, log *slog.Logger, reg prometheus.Registerer) *Handler {
	return &Handler{
		notifier: notifier, offsets: offsets, survey: survey,
		log: log, metrics: newMetrics(reg), handled: map[int32]int64{},
	}
}

// Start implements kafka.Ledger. The group's committed offset always rules, so
// the answer is negative: the ledger only tells Handle which records it knows.
// It is never behind the group's offset but in a flushed or restored Redis, and
// going back to it would then notify everything since again.
func (h *Handler) Start(ctx context.Context, partition int32, _, newest int64) (int64, error) {
	next, err := h.offsets.Load(ctx, partition)
	if err != nil {
		return 0, err
	}
	if next > newest {
		if next, err = h.judge(ctx, partition, next); err != nil {
			return 0, err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.handled[partition] = next
	return -1, nil
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

// Handle implements kafka.Handler. What was handled is in the ledger before the
// group may commit it.
func (h *Handler) Handle(ctx context.Context, batch []kafka.Record) (int, error) {
	known := h.knownBelow(batch[0].Partition)
	handled := 0
	var refused error
	for _, record := range batch {
		if record.Offset < known {
			h.metrics.events.WithLabelValues("redelivered").Inc()
		} else if refused = h.handle(ctx, record); refused != nil {
			break
		}
		handled++
	}
	if handled > 0 && batch[handled-1].Offset >= known {
		if err := h.offsets.Advance(ctx, batch[0].Partition, batch[handled-1].Offset+1); err != nil {
			return 0, err
		}
	}
	return handled, refused
}

func (h *Handler) handle(ctx context.Context, record kafka.Record) error {
	ctx = tracing.WithTraceparent(ctx, record.Header(event.HeaderTraceparent))
	e, err := event.Parse(record.Value)
	if err != nil {
		return kafka.Permanent(err)
	}
	if !e.Known() {
		h.metrics.unknown.Inc()
		h.log.WarnContext(ctx, "passing over an event of an unknown type",
			"type", e.Type, "partition", record.Partition, "offset", record.Offset)
		return nil
	}
	outcome, err := h.notifier.Notify(ctx, notify.Event{
		Type:      e.Type,
		Mark:      e.Identity(),
		ID:        e.ID,
		TaskID:    e.TaskID,
		TaskTitle: e.TaskTitle,
		Place:     fmt.Sprintf("%d:%d", record.Partition, record.Offset),
	})
	if err != nil {
		return err
	}
	h.metrics.events.WithLabelValues(string(outcome)).Inc()
	return nil
}

func (h *Handler) knownBelow(partition int32) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.handled[partition]
}
