package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/todo/platform/kafka"
)

// callHandler is a Handler made of a function.
type handlerFunc func(ctx context.Context, batch []kafka.Record) (int, error)

func (h handlerFunc) Handle(ctx context.Context, batch []kafka.Record) (int, error) {
	return h(ctx, batch)
}

// notebook writes down what was handled.
type notebook struct {
	mu      sync.Mutex
	records []kafka.Record
}

func (n *notebook) Handle(_ context.Context, batch []kafka.Record) (int, error) {
	n.add(batch...)
	return len(batch), nil
}

func (n *notebook) add(records ...kafka.Record) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.records = append(n.records, records...)
}

// values are what was handled of one partition.
func (n *notebook) values(partition int32) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	values := []string{}
	for _, record := range n.records {
		if record.Partition == partition {
			values = append(values, string(record.Value))
		}
	}
	return values
}

func (n *notebook) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.records)
}

// handles waits until partition 0 has had exactly these values, in this order.
func (n *notebook) handles(t *testing.T, want ...string) {
	t.Helper()
	eventually(t, fmt.Sprint(len(want), " records"), func() bool { return len(n.values(0)) >= len(want) })
	if diff := cmp.Diff(want, n.values(0)); diff != "" {
		t.Fatalf("handled (-want +got):\n%s", diff)
	}
}

func ready(t *testing.T, g *runningGroup) {
	t.Helper()
	eventually(t, "the group to be ready", func() bool { return g.Ready(t.Context()) == nil })
}

func TestGroupHandlesEveryPartitionInOrder(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) {
		const each = 700
		var records []*kgo.Record
		want := []string{}
		for i := range each {
			want = append(want, fmt.Sprint(i))
			for partition := range int32(partitions) {
				records = append(records, &kgo.Record{Partition: partition, Value: []byte(fmt.Sprint(i))})
			}
		}
		w.send(t, records...)
		notes := &notebook{}
		group := run(t, w.groupConfig("readers"), notes)
		eventually(t, "all records", func() bool { return notes.count() >= each*partitions })
		group.stop()
		for partition := range int32(partitions) {
			if diff := cmp.Diff(want, notes.values(partition)); diff != "" {
				t.Errorf("partition %d (-want +got):\n%s", partition, diff)
			}
		}
		if got := testutil.CollectAndCount(group.registry, "kafka_consumer_records_total"); got != 3 {
			t.Errorf("%d series of outcomes, want 3", got)
		}
		wantMetric(t, group, `kafka_consumer_records_total{outcome="handled"}`, each*partitions)
	})
}

func TestGroupGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) {
		w.send(t, value("1"), value("2"))
		before := &notebook{}
		group := run(t, w.groupConfig("readers"), before)
		before.handles(t, "1", "2")
		group.stop()
		w.send(t, value("3"))
		after := &notebook{}
		run(t, w.groupConfig("readers"), after)
		after.handles(t, "3")
		other := &notebook{}
		run(t, w.groupConfig("others"), other)
		other.handles(t, "1", "2", "3")
	})
}

func TestGroupHoldsThePartitionWhileAFailurePasses(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) {
		w.send(t, value("1"), value("2"), value("3"))
		notes := &notebook{}
		failures := 0
		group := run(t, w.groupConfig("readers"), handlerFunc(func(_ context.Context, batch []kafka.Record) (int, error) {
			for i, record := range batch {
				if string(record.Value) == "2" && failures < 3 {
					failures++
					return i, errors.New("the store is away")
				}
				notes.add(record)
			}
			return len(batch), nil
		}))
		notes.handles(t, "1", "2", "3")
		group.stop()
		wantMetric(t, group, `kafka_consumer_retries_total{}`, 3)
		if got := w.total(t, w.dlq); got != 0 {
			t.Errorf("%d dead letters for a failure that passed", got)
		}
	})
}

func TestGroupHoldsOnlyThePartitionThatFails(t *testing.T) {
	t.Parallel()
	w := newFakeEnv(t)
	w.send(t, value("held"), &kgo.Record{Partition: 1, Value: []byte("free")})
	notes := &notebook{}
	group := run(t, w.groupConfig("readers"), handlerFunc(func(ctx context.Context, batch []kafka.Record) (int, error) {
		if batch[0].Partition == 0 {
			return 0, errors.New("the store is away")
		}
		return notes.Handle(ctx, batch)
	}))
	eventually(t, "the other partition", func() bool { return len(notes.values(1)) == 1 })
	begun := time.Now()
	group.stop()
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("stopping in a pause took %v", took)
	}
	after := &notebook{}
	run(t, w.groupConfig("readers"), after)
	after.handles(t, "held")
}

func TestGroupPassesOverReplaysForOthers(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) {
		replay := func(group, text string) *kgo.Record {
			return &kgo.Record{Value: []byte(text), Headers: []kgo.RecordHeader{{Key: "replay-group", Value: []byte(w.group(group))}}}
		}
		w.send(t, replay("others", "1"), value("2"), replay("readers", "3"), replay("others", "4"))
		notes := &notebook{}
		group := run(t, w.groupConfig("readers"), notes)
		notes.handles(t, "2", "3")
		passedOver := `kafka_consumer_records_total{outcome="passed_over"}`
		eventually(t, "the last to be passed over", func() bool { return metric(t, group, passedOver) == 2 })
		group.stop()
		other := &notebook{}
		run(t, w.groupConfig("others"), other)
		other.handles(t, "1", "2", "4")
	})
}

func TestGroupFinishesTheBatchInHand(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) {
		w.send(t, value("1"))
		begun, finish := make(chan struct{}), make(chan struct{})
		notes := &notebook{}
		group := run(t, w.groupConfig("readers"), handlerFunc(func(ctx context.Context, batch []kafka.Record) (int, error) {
			close(begun)
			select {
			case <-finish:
			case <-ctx.Done():
				return 0, ctx.Err()
			}
			return notes.Handle(ctx, batch)
		}))
		<-begun
		time.AfterFunc(300*time.Millisecond, func() { close(finish) })
		if err := group.stop(); err != nil {
			t.Fatal(err)
		}
		notes.handles(t, "1")
		w.send(t, value("2"))
		after := &notebook{}
		run(t, w.groupConfig("readers"), after)
		after.handles(t, "2")
	})
}

func TestGroupHandsItsPartitionsToTheOthers(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) {
		one, two := &notebook{}, &notebook{}
		first := run(t, w.groupConfig("readers"), one)
		second := run(t, w.groupConfig("readers"), two)
		ready(t, first)
		ready(t, second)
		send := func(text string) {
			for partition := range int32(partitions) {
				w.send(t, &kgo.Record{Partition: partition, Value: []byte(text)})
			}
		}
		both := func(want int) {
			t.Helper()
			eventually(t, fmt.Sprint(want, " records"), func() bool { return one.count()+two.count() == want })
		}
		eventually(t, "both to have a share", func() bool {
			send("shared")
			return one.count() > 0 && two.count() > 0
		})
		sent := int(w.total(t, w.topic))
		both(sent)
		first.stop()
		send("alone")
		both(sent + partitions)
	})
}

// Nothing is lost: the process that comes next gets what this one holds.
func TestAGroupWhoseHandlerHangsEnds(t *testing.T) {
	t.Parallel()
	for name, stopped := range map[string]bool{"in the middle": false, "when stopped": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newFakeEnv(t)
			w.send(t, value("1"), value("2"))
			ctx, cancel := context.WithCancel(timeoutContext(t))
			letGo := make(chan struct{})
			t.Cleanup(func() { close(letGo) })
			group := kafka.NewGroup(w.groupConfig("readers"), handlerFunc(func(context.Context, []kafka.Record) (int, error) {
				if stopped {
					cancel()
				}
				<-letGo
				return 0, context.DeadlineExceeded
			}), logger(t), prometheus.NewRegistry())
			if !stopped {
				group.BoundCalls(100 * time.Millisecond)
			}
			if err := group.Run(ctx); err == nil || !strings.Contains(err.Error(), "does not return") {
				t.Errorf("Run: %v", err)
			}
			notes := &notebook{}
			run(t, w.groupConfig("readers"), notes)
			notes.handles(t, "1", "2")
		})
	}
}

func TestAStaticMemberIsBackAtOnce(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) {
		cfg := w.groupConfig("readers")
		cfg.InstanceID = "reader-0"
		for i := range 3 {
			notes := &notebook{}
			group := run(t, cfg, notes)
			w.send(t, value(fmt.Sprint(i)))
			notes.handles(t, fmt.Sprint(i))
			begun := time.Now()
			if err := group.stop(); err != nil || time.Since(begun) > 3*time.Second {
				t.Fatalf("stopped with %v after %v", err, time.Since(begun))
			}
		}
	})
}

func TestRunRefusesAWrongTopic(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) {
		few, missing, nowhere := w.groupConfig("readers"), w.groupConfig("readers"), w.groupConfig("readers")
		few.Partitions++
		missing.Topic = "missing-" + w.topic
		nowhere.DLQ = "missing-" + w.dlq
		for name, test := range map[string]struct {
			cfg  kafka.GroupConfig
			want kafka.TopicError
		}{
			"partitions":      {few, kafka.TopicError{Topic: w.topic, Want: partitions + 1, Have: partitions}},
			"missing":         {missing, kafka.TopicError{Topic: missing.Topic, Want: partitions}},
			"no dead letters": {nowhere, kafka.TopicError{Topic: nowhere.DLQ}},
		} {
			group := kafka.NewGroup(test.cfg, &notebook{}, logger(t), prometheus.NewRegistry())
			var wrong *kafka.TopicError
			if err := group.Run(timeoutContext(t)); !errors.As(err, &wrong) || *wrong != test.want {
				t.Errorf("%s: got %v, want %v", name, err, &test.want)
			}
		}
	})
}

func TestEndsSaysWhatIsWrittenNext(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) {
		w.send(t, value("1"), value("2"), &kgo.Record{Partition: 2, Value: []byte("3")})
		group := run(t, w.groupConfig("readers"), &notebook{})
		for range 2 {
			got, err := group.LogEndOffsets(timeoutContext(t))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[int32]int64{0: 2, 1: 0, 2: 1}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
	})
}

func metric(t *testing.T, g *runningGroup, series string) float64 {
	t.Helper()
	families, err := g.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, one := range family.Metric {
			name := family.GetName() + "{"
			for _, label := range one.Label {
				if label.GetName() == "group" {
					continue
				}
				name += fmt.Sprintf("%s=%q", label.GetName(), label.GetValue())
			}
			if name+"}" == series {
				return one.GetCounter().GetValue() + one.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s", series)
	return 0
}

func wantMetric(t *testing.T, g *runningGroup, series string, want float64) {
	t.Helper()
	if got := metric(t, g, series); got != want {
		t.Errorf("%s is %v, want %v", series, got, want)
	}
}
