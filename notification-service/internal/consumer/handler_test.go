package consumer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/notification-service/internal/consumer"
	"example.com/todo/notification-service/internal/notify"
	"example.com/todo/platform/kafka"
	kafkaconsumer "example.com/todo/platform/kafka/consumer"
)

const partition = 4

// fakeNotifier records its events and fails at the positions in fails.
type fakeNotifier struct {
	events    []notify.Event
	positions []string
	fails     map[string]error
}

func (n *fakeNotifier) Notify(_ context.Context, events []notify.Event) ([]notify.Outcome, error) {
	var outcomes []notify.Outcome
	for _, e := range events {
		if err := n.fails[e.Position]; err != nil {
			return outcomes, err
		}
		n.events = append(n.events, e)
		n.positions = append(n.positions, e.Position)
		outcomes = append(outcomes, notify.Sent)
	}
	return outcomes, nil
}

// fakeOffsets keeps the stored offsets in memory.
type fakeOffsets struct {
	stored       map[int32]int64
	incarnations map[int32]string
	fails        error
}

func (l *fakeOffsets) Load(_ context.Context, partition int32) (int64, string, error) {
	return l.stored[partition], l.incarnations[partition], l.fails
}

func (l *fakeOffsets) Bind(_ context.Context, partition int32, incarnation string, foreign int64) error {
	l.incarnations[partition] = incarnation
	if l.stored[partition] == foreign {
		delete(l.stored, partition)
	}
	return l.fails
}

func (l *fakeOffsets) Advance(ctx context.Context, partition int32, next int64, _ string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if l.fails == nil {
		l.stored[partition] = max(l.stored[partition], next)
	}
	return l.fails
}

// fixture is a handler over fakes.
type fixture struct {
	*consumer.Handler
	notifier *fakeNotifier
	offsets  *fakeOffsets
	ends     map[int32]int64 // as Kafka returns them
	reg      *prometheus.Registry
	log      *bytes.Buffer
}

func newFixture(stored int64) *fixture {
	f := &fixture{
		notifier: &fakeNotifier{fails: map[string]error{}},
		offsets:  &fakeOffsets{stored: map[int32]int64{}, incarnations: map[int32]string{}},
		ends:     map[int32]int64{partition: 1_000},
		reg:      prometheus.NewRegistry(),
		log:      &bytes.Buffer{},
	}
	if stored > 0 {
		f.offsets.stored[partition] = stored
	}
	logEnds := func(context.Context) (map[int32]int64, error) {
		if f.ends == nil {
			return nil, errors.New("kafka is down")
		}
		return f.ends, nil
	}
	f.Handler = consumer.New(f.notifier, f.offsets, logEnds, slog.New(slog.NewTextHandler(f.log, nil)), f.reg)
	return f
}

// start begins a session of the partition and expects that the group's offset rules.
func (f *fixture) start(t *testing.T, newest int64) {
	t.Helper()
	if got, err := f.StartOffset(t.Context(), partition, kafka.PartitionLog{End: newest}); err != nil || got >= 0 {
		t.Fatalf("StartOffset: %d, %v; want a negative offset", got, err)
	}
}

// expectOne expects that the counter is 1.
func (f *fixture) expectOne(t *testing.T, counter string) {
	t.Helper()
	families, err := f.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == counter && family.GetMetric()[0].GetCounter().GetValue() == 1 {
			return
		}
	}
	t.Errorf("%s is not 1", counter)
}

func (f *fixture) expectStored(t *testing.T, want int64) {
	t.Helper()
	if got := f.offsets.stored[partition]; got != want {
		t.Errorf("the stored offset is %d, want %d", got, want)
	}
}

// expectNotified expects the positions of the events that the domain got.
func (f *fixture) expectNotified(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, f.notifier.positions); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// handle expects that so many records of the batch are handled.
func (f *fixture) handle(t *testing.T, want int, batch []kafka.Record) {
	t.Helper()
	if handled, err := f.Handle(t.Context(), batch); handled != want || err != nil {
		t.Fatalf("Handle: %d, %v; want %d", handled, err, want)
	}
}

func record(offset int64, value string) kafka.Record {
	return kafka.Record{Partition: partition, Offset: offset, Value: []byte(value)}
}

func event(offset int64, kind string) kafka.Record {
	return record(offset, fmt.Sprintf(`{"id":"e%d","type":%q,"task_id":1,"task_title":"Learn Go","timestamp":"2026-01-15T10:00:00Z"}`, offset, kind))
}

// isPermanent compares the type, because kafkaconsumer.Permanent has no exported one.
func isPermanent(err error) bool {
	return fmt.Sprintf("%T", err) == fmt.Sprintf("%T", kafkaconsumer.Permanent(errors.New("")))
}

func TestHandlerHandlesABatchInOrderAndStoresTheOffset(t *testing.T) {
	t.Parallel()
	f := newFixture(0)
	f.start(t, 10)
	batch := []kafka.Record{event(7, "task.created"), event(8, "task.completed"), event(11, "task.completed")}
	f.handle(t, 3, batch)
	f.expectNotified(t, "4:7", "4:8", "4:11")
	f.expectStored(t, 12)
}

func TestHandlerPassesTheEventWithItsDedupKey(t *testing.T) {
	t.Parallel()
	f := newFixture(0)
	f.start(t, 10)
	batch := []kafka.Record{
		event(7, "task.completed"),
		record(8, `{"type":"task.completed","task_id":1,"task_title":"Learn Go","timestamp":"2026-01-15T10:00:00Z"}`),
	}
	batch[0].Headers = []kafka.Header{{Key: "traceparent", Value: "00-1"}}
	if _, err := f.Handle(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	want := []notify.Event{
		{Type: "task.completed", DedupKey: "task.completed:e7", ID: "e7", TaskID: 1, TaskTitle: "Learn Go", Timestamp: at, Position: "4:7", Traceparent: "00-1"},
		{Type: "task.completed", DedupKey: "task.completed:1", TaskID: 1, TaskTitle: "Learn Go", Timestamp: at, Position: "4:8"},
	}
	if diff := cmp.Diff(want, f.notifier.events); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestHandlerRecognisesARedeliveredRecordByItsOffset(t *testing.T) {
	t.Parallel()
	f := newFixture(9)
	f.start(t, 10)
	batch := []kafka.Record{event(7, "task.completed"), record(8, "not JSON"), event(9, "task.completed")}
	f.handle(t, 2, batch[:2])
	f.handle(t, 3, batch)
	f.expectNotified(t, "4:9")
}

func TestHandlerReturnsAPermanentErrorForAnUndecodableRecord(t *testing.T) {
	t.Parallel()
	undecodable := map[string]kafka.Record{
		"not JSON":       record(8, "not JSON"),
		"a wrong type":   record(8, `{"type":7,"task_id":1,"task_title":"x","timestamp":"2026-01-15T10:00:00Z"}`),
		"a missing type": record(8, `{"task_id":1,"task_title":"x","timestamp":"2026-01-15T10:00:00Z"}`),
		"a null value":   {Partition: partition, Offset: 8},
		"noise":          record(8, strings.Repeat("\xff\x00", 450_000)),
	}
	for name, bad := range undecodable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(0)
			f.start(t, 10)
			handled, err := f.Handle(t.Context(), []kafka.Record{event(7, "task.completed"), bad, event(9, "task.completed")})
			if handled != 1 || !isPermanent(err) {
				t.Fatalf("Handle: %d, %v; want 1 and a permanent error", handled, err)
			}
			if got := f.offsets.stored[partition]; got != 8 {
				t.Errorf("the stored offset is %d, want 8: the undecodable record is not dead-lettered yet", got)
			}
			f.handle(t, 1, []kafka.Record{event(9, "task.completed")})
			f.expectNotified(t, "4:7", "4:9")
		})
	}
}

func TestHandlerStoresTheOffsetBeforeATransientError(t *testing.T) {
	t.Parallel()
	f := newFixture(0)
	f.start(t, 10)
	down := errors.New("mail server down")
	f.notifier.fails["4:8"] = down
	handled, err := f.Handle(t.Context(), []kafka.Record{event(7, "task.completed"), event(8, "task.completed")})
	if handled != 1 || !errors.Is(err, down) || isPermanent(err) {
		t.Fatalf("Handle: %d, %v; want 1 and the transient error", handled, err)
	}
	f.expectStored(t, 8)
}

func TestHandlerReturnsAPermanentErrorWhenANotificationIsGivenUp(t *testing.T) {
	t.Parallel()
	f := newFixture(0)
	f.start(t, 10)
	f.notifier.fails["4:8"] = fmt.Errorf("%w: %w", notify.ErrGivenUp, notify.ErrRejected)
	f.notifier.fails["4:10"] = notify.ErrRejected
	handled, err := f.Handle(t.Context(), []kafka.Record{event(7, "task.archived"), event(8, "task.completed")})
	if handled != 1 || !isPermanent(err) {
		t.Fatalf("Handle: %d, %v; want 1 and a permanent error", handled, err)
	}
	handled, err = f.Handle(t.Context(), []kafka.Record{event(9, "task.completed"), event(10, "task.completed"), record(11, "not JSON")})
	if handled != 1 || err == nil || isPermanent(err) {
		t.Fatalf("Handle: %d, %v; want 1 and a transient error", handled, err)
	}
}

// The records were handled before the session ended, so the next one must not repeat them.
func TestHandlerStoresTheOffsetAlthoughItsContextEnded(t *testing.T) {
	t.Parallel()
	f := newFixture(0)
	f.start(t, 10)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if handled, err := f.Handle(ctx, []kafka.Record{event(7, "task.completed")}); handled != 1 || err != nil {
		t.Fatalf("Handle: %d, %v; want 1", handled, err)
	}
	f.expectStored(t, 8)
}

// slowNotifier needs its duration for each event, and stops when its context ends.
type slowNotifier time.Duration

func (s slowNotifier) Notify(ctx context.Context, events []notify.Event) (outcomes []notify.Outcome, err error) {
	for range events {
		if ctx.Err() != nil {
			return outcomes, ctx.Err()
		}
		time.Sleep(time.Duration(s)) //nolint:forbidigo // the bubble's clock, not the wall's
		outcomes = append(outcomes, notify.Sent)
	}
	return outcomes, nil
}

func TestHandlerReturnsTheRestOfTheBatchWhenItsBudgetEnds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		pace    time.Duration
		stop    time.Duration // after which the context ends
		handled int
		fails   bool
	}{
		"a second each":          {pace: 1100 * time.Millisecond, handled: 10},
		"longer than the budget": {pace: 15 * time.Second, handled: 1},
		"fast enough":            {pace: time.Millisecond, handled: 30},
		"context ended":          {pace: time.Second, stop: 3*time.Second - time.Millisecond, handled: 3, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(0)
				h := consumer.New(slowNotifier(test.pace), f.offsets, nil, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
				var batch []kafka.Record
				for offset := range int64(30) {
					batch = append(batch, event(offset, "task.completed"))
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if test.stop > 0 {
					time.AfterFunc(test.stop, cancel)
				}
				handled, err := h.Handle(ctx, batch)
				if handled != test.handled || (err != nil) != test.fails {
					t.Errorf("Handle: %d, %v; want %d", handled, err, test.handled)
				}
				if got := f.offsets.stored[partition]; got != int64(handled) {
					t.Errorf("the stored offset is %d, want %d", got, handled)
				}
			})
		})
	}
}

// Otherwise the group would commit an offset that is not stored.
func TestHandlerHandlesNothingWhileItsOffsetsAreUnavailable(t *testing.T) {
	t.Parallel()
	f := newFixture(0)
	f.start(t, 10)
	f.offsets.fails = errors.New("redis is down")
	if handled, err := f.Handle(t.Context(), []kafka.Record{event(7, "task.completed")}); handled != 0 || !errors.Is(err, f.offsets.fails) {
		t.Errorf("Handle: %d, %v; want 0 and the error of the offsets", handled, err)
	}
	if _, err := f.StartOffset(t.Context(), partition, kafka.PartitionLog{End: 10}); !errors.Is(err, f.offsets.fails) {
		t.Errorf("StartOffset: %v, want the error of the offsets", err)
	}
}

func TestHandlerClearsAStoredOffsetBeyondTheLogEnd(t *testing.T) {
	t.Parallel()
	f := newFixture(500)
	f.ends[partition] = 20
	f.start(t, 10)
	f.handle(t, 1, []kafka.Record{event(7, "task.completed")})
	f.expectNotified(t, "4:7")
	f.expectStored(t, 8)
	if !strings.Contains(f.log.String(), "level=ERROR") {
		t.Errorf("no alarm in the log: %s", f.log)
	}
	f.expectOne(t, "notification_stored_offset_beyond_log_total")
}

func TestHandlerClearsAStoredOffsetOfAnEarlierTopic(t *testing.T) {
	t.Parallel()
	f := newFixture(500)
	f.offsets.incarnations[partition] = "id old"
	if _, err := f.StartOffset(t.Context(), partition, kafka.PartitionLog{End: 1_000, TopicID: "new"}); err != nil {
		t.Fatal(err)
	}
	f.handle(t, 1, []kafka.Record{event(7, "task.completed")})
	f.expectNotified(t, "4:7")
	if got := f.offsets.incarnations[partition]; got != "id new" {
		t.Errorf("the offset is bound to %q, want the new topic", got)
	}
	if !strings.Contains(f.log.String(), "level=ERROR") {
		t.Errorf("no alarm in the log: %s", f.log)
	}
	f.expectOne(t, "notification_offsets_replaced_topic_total")
}

func TestHandlerBindsTheStoredOffsetToItsTopic(t *testing.T) {
	t.Parallel()
	for name, incarnation := range map[string]string{"of an earlier version": "", "bound before": "id a", "of a broker that gave no ids": "record 499 abc"} {
		f := newFixture(500)
		f.offsets.incarnations[partition] = incarnation
		if _, err := f.StartOffset(t.Context(), partition, kafka.PartitionLog{End: 1_000, TopicID: "a"}); err != nil {
			t.Fatal(err)
		}
		if offset, bound := f.offsets.stored[partition], f.offsets.incarnations[partition]; offset != 500 || bound != "id a" {
			t.Errorf("%s: %d of %q, want 500 of the topic", name, offset, bound)
		}
		if strings.Contains(f.log.String(), "level=ERROR") {
			t.Errorf("%s: an alarm: %s", name, f.log)
		}
	}
}

func TestHandlerKeepsTheIncarnationWhileTheTopicsIsUnknown(t *testing.T) {
	t.Parallel()
	f := newFixture(500)
	f.offsets.incarnations[partition] = "id a"
	f.start(t, 1_000)
	if got := f.offsets.incarnations[partition]; got != "id a" {
		t.Errorf("the offset is bound to %q, want the topic it was stored with", got)
	}
	f.expectStored(t, 500)
}

func TestHandlerKeepsTheStoredOffsetWhenTheGivenLogEndIsOutdated(t *testing.T) {
	t.Parallel()
	f := newFixture(500)
	f.start(t, 10)
	f.expectStored(t, 500)
	f.ends = nil
	if _, err := f.StartOffset(t.Context(), partition, kafka.PartitionLog{End: 10}); err == nil {
		t.Error("no error although the log-end offsets are unknown")
	}
	f.expectStored(t, 500)
}

func TestHandlerSkipsAnUnknownTypeWithAWarning(t *testing.T) {
	t.Parallel()
	f := newFixture(0)
	f.start(t, 10)
	f.handle(t, 2, []kafka.Record{event(7, "task.archived"), event(8, "task.completed")})
	if !strings.Contains(f.log.String(), "level=WARN") || !strings.Contains(f.log.String(), "task.archived") {
		t.Errorf("no warning in the log: %s", f.log)
	}
	f.expectOne(t, "notification_events_unknown_total")
}
