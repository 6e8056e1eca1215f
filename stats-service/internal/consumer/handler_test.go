package consumer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/platform/kafka"
	kafkaconsumer "example.com/todo/platform/kafka/consumer"
	"example.com/todo/stats-service/internal/consumer"
	"example.com/todo/stats-service/internal/stats"
)

const partition = 4

// call has the arguments of one call of Count.
type call struct {
	From, Next int64
	Offsets    []int64
}

// fakeCounter records its calls; each returns the next of errs.
type fakeCounter struct {
	resumePoint stats.ResumePoint
	events      []stats.Event
	calls       []call
	errs        []error
}

func (c *fakeCounter) Resume(context.Context, int32, stats.LogRange) (stats.ResumePoint, error) {
	return c.resumePoint, c.next()
}

func (c *fakeCounter) Count(_ context.Context, _ int32, from, next int64, events []stats.Event) (stats.Tally, error) {
	var offsets []int64
	for _, e := range events {
		offsets = append(offsets, e.Offset)
	}
	c.events = append(c.events, events...)
	c.calls = append(c.calls, call{from, next, offsets})
	return stats.Tally{Counted: 1}, c.next()
}

func (c *fakeCounter) next() error {
	if len(c.errs) == 0 {
		return nil
	}
	err := c.errs[0]
	c.errs = c.errs[1:]
	return err
}

func (c *fakeCounter) expectCalls(t *testing.T, want ...call) {
	t.Helper()
	if diff := cmp.Diff(want, c.calls); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func record(offset int64, value string) kafka.Record {
	return kafka.Record{Partition: partition, Offset: offset, Value: []byte(value)}
}

func event(offset int64, kind string) kafka.Record {
	return record(offset, fmt.Sprintf(`{"id":"e%d","type":%q,"task_id":1,"task_title":"Learn Go","timestamp":"2026-01-15T10:00:00Z"}`, offset, kind))
}

func startHandler(t *testing.T, c *fakeCounter, at int64) (*consumer.Handler, *prometheus.Registry, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	reg := prometheus.NewRegistry()
	h := consumer.New(c, slog.New(slog.NewTextHandler(&log, nil)), reg)
	c.resumePoint.Offset = at
	if got, err := h.StartOffset(t.Context(), partition, kafka.PartitionLog{End: 1_000}); err != nil || got != at {
		t.Fatalf("StartOffset: %d, %v; want %d", got, err, at)
	}
	return h, reg, &log
}

// expectHandled expects that so many records of the batch are handled.
func expectHandled(t *testing.T, h *consumer.Handler, want int, batch []kafka.Record) {
	t.Helper()
	if handled, err := h.Handle(t.Context(), batch); handled != want || err != nil {
		t.Fatalf("Handle: %d, %v; want %d", handled, err, want)
	}
}

func TestHandlerCountsABatchInOneStepFromTheNextOffset(t *testing.T) {
	t.Parallel()
	c := &fakeCounter{}
	h, _, _ := startHandler(t, c, 7)
	steps := []struct {
		batch   []kafka.Record
		handled int
	}{
		{[]kafka.Record{event(7, "task.created"), event(8, "task.completed")}, 2},
		{[]kafka.Record{event(12, "task.completed")}, 1}, // the offsets between are no records, or another group's
	}
	for _, step := range steps {
		expectHandled(t, h, step.handled, step.batch)
	}
	c.expectCalls(t, call{7, 9, []int64{7, 8}}, call{9, 13, []int64{12}})
}

func TestHandlerCountsTheEventWithItsDedupKey(t *testing.T) {
	t.Parallel()
	c := &fakeCounter{}
	h, _, _ := startHandler(t, c, 7)
	batch := []kafka.Record{
		event(7, "task.completed"),
		record(8, `{"type":"task.completed","task_id":1,"task_title":"Learn Go","timestamp":"2026-01-15T10:00:00Z"}`),
		record(9, `{"type":"task.completed","task_id":1,"task_title":"Learn Go","user_id":7,"timestamp":"2026-01-15T10:00:00Z"}`),
	}
	batch[0].TopicID, batch[1].TopicID, batch[2].TopicID = "a", "a", "a"
	if _, err := h.Handle(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	want := []stats.Event{
		{Type: "task.completed", DedupKey: "task.completed:e7", Timestamp: at, Offset: 7, Incarnation: "id a"},
		{Type: "task.completed", DedupKey: "task.completed:1", Timestamp: at, Offset: 8, Incarnation: "id a"},
		{Type: "task.completed", DedupKey: "task.completed:1", User: "7", Timestamp: at, Offset: 9, Incarnation: "id a"},
	}
	if diff := cmp.Diff(want, c.events); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestHandlerCountsTheRecordsBeforeAnUndecodableOne(t *testing.T) {
	t.Parallel()
	undecodable := map[string]kafka.Record{
		"not JSON":       record(8, "not JSON"),
		"a wrong type":   record(8, `{"type":7,"task_id":1,"task_title":"x","timestamp":"2026-01-15T10:00:00Z"}`),
		"a missing type": record(8, `{"task_id":1,"task_title":"x","timestamp":"2026-01-15T10:00:00Z"}`),
		"a null value":   {Partition: partition, Offset: 8},
		"binary":         record(8, strings.Repeat("\xff\x00", 450_000)),
	}
	for name, bad := range undecodable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &fakeCounter{}
			h, _, _ := startHandler(t, c, 7)
			handled, err := h.Handle(t.Context(), []kafka.Record{event(7, "task.completed"), bad, event(9, "task.completed")})
			if handled != 1 || !isPermanent(err) {
				t.Fatalf("Handle: %d, %v; want 1 and a permanent error", handled, err)
			}
			if handled, err := h.Handle(t.Context(), []kafka.Record{bad}); handled != 0 || !isPermanent(err) {
				t.Fatalf("Handle: %d, %v; want 0 and a permanent error", handled, err)
			}
			expectHandled(t, h, 1, []kafka.Record{event(9, "task.completed")})
			c.expectCalls(t, call{7, 8, []int64{7}}, call{8, 10, []int64{9}})
		})
	}
}

// isPermanent compares the type, because kafkaconsumer.Permanent has no exported one.
func isPermanent(err error) bool {
	return fmt.Sprintf("%T", err) == fmt.Sprintf("%T", kafkaconsumer.Permanent(errors.New("")))
}

func TestHandlerCountsTheBatchAgainAfterATransientError(t *testing.T) {
	t.Parallel()
	down := errors.New("redis is down")
	c := &fakeCounter{}
	h, _, _ := startHandler(t, c, 7)
	c.errs = []error{down}
	batch := []kafka.Record{event(7, "task.completed"), record(8, "not JSON")}
	if handled, err := h.Handle(t.Context(), batch); handled != 0 || !errors.Is(err, down) || isPermanent(err) {
		t.Fatalf("Handle: %d, %v; want 0 and the transient error", handled, err)
	}
	if handled, err := h.Handle(t.Context(), batch); handled != 1 || !isPermanent(err) {
		t.Fatalf("Handle: %d, %v; want 1 and a permanent error", handled, err)
	}
	c.expectCalls(t, call{7, 8, []int64{7}}, call{7, 8, []int64{7}})
}

func TestHandlerEndsTheSessionOnAnOffsetMismatch(t *testing.T) {
	t.Parallel()
	c := &fakeCounter{}
	h, _, _ := startHandler(t, c, 7)
	c.errs = []error{stats.ErrOffsetMismatch, stats.ErrOffsetMismatch}
	if handled, err := h.Handle(t.Context(), []kafka.Record{event(7, "task.completed")}); handled != 0 || !errors.Is(err, kafkaconsumer.ErrFenced) {
		t.Errorf("Handle: %d, %v; want 0, kafka.ErrFenced", handled, err)
	}
	if err := h.Skipped(t.Context(), partition, 9); !errors.Is(err, kafkaconsumer.ErrFenced) {
		t.Errorf("Skipped: %v, want kafka.ErrFenced", err)
	}
}

func TestHandlerSkipsRecordsBelowTheStoredOffset(t *testing.T) {
	t.Parallel()
	c := &fakeCounter{}
	h, _, _ := startHandler(t, c, 7)
	batch := []kafka.Record{event(5, "task.completed"), record(6, "not JSON"), event(7, "task.completed")}
	expectHandled(t, h, 2, batch[:2])
	expectHandled(t, h, 3, batch)
	c.expectCalls(t, call{7, 8, []int64{7}})
}

func TestHandlerAdvancesTheOffsetOverSkippedRecords(t *testing.T) {
	t.Parallel()
	c := &fakeCounter{}
	h, _, _ := startHandler(t, c, 7)
	for _, next := range []int64{9, 9, 8} {
		if err := h.Skipped(t.Context(), partition, next); err != nil {
			t.Fatal(err)
		}
	}
	c.expectCalls(t, call{7, 9, nil})
}

func TestHandlerSkipsAnUnknownTypeWithAWarning(t *testing.T) {
	t.Parallel()
	c := &fakeCounter{}
	h, reg, log := startHandler(t, c, 0)
	batch := []kafka.Record{event(0, "task.archived"), event(1, "task.completed"), event(2, "task.deleted")}
	expectHandled(t, h, 3, batch)
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "task.archived") {
		t.Errorf("the log has no warning: %s", log)
	}
	if diff := cmp.Diff(map[string]float64{"": 1}, counters(t, reg, "stats_events_unknown_total")); diff != "" {
		t.Errorf("unknown events (-want +got):\n%s", diff)
	}
	want := map[string]float64{"counted": 1, "ignored": 1}
	if diff := cmp.Diff(want, counters(t, reg, "stats_events_total")); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestHandlerLogsAndCountsARecount(t *testing.T) {
	t.Parallel()
	for reason, level := range map[stats.RecountReason]string{
		stats.NothingKnown: "level=INFO", stats.Inconsistent: "level=ERROR", stats.OutsideLog: "level=ERROR",
	} {
		c := &fakeCounter{resumePoint: stats.ResumePoint{Recount: reason}}
		_, reg, log := startHandler(t, c, 0)
		if !strings.Contains(log.String(), level) {
			t.Errorf("%s: the log has no %s: %s", reason, level, log)
		}
		if diff := cmp.Diff(map[string]float64{string(reason): 1}, counters(t, reg, "stats_recounts_total")); diff != "" {
			t.Errorf("recounts (-want +got):\n%s", diff)
		}
	}
}

// counters returns a metric by the value of its label, "" without one, and without zeros.
func counters(t *testing.T, reg *prometheus.Registry, name string) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if n := m.GetCounter().GetValue(); n != 0 && family.GetName() == name {
				label := ""
				for _, l := range m.GetLabel() {
					label = l.GetValue()
				}
				counts[label] = n
			}
		}
	}
	return counts
}

func TestStartOffsetReturnsTheErrorOfTheStore(t *testing.T) {
	t.Parallel()
	down := errors.New("redis is down")
	c := &fakeCounter{errs: []error{down}}
	h := consumer.New(c, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if _, err := h.StartOffset(t.Context(), partition, kafka.PartitionLog{End: time.Now().Unix()}); !errors.Is(err, down) {
		t.Errorf("StartOffset: %v, want the error of the store", err)
	}
}
