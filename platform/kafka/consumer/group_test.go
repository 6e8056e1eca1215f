package consumer_test

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
	"example.com/todo/platform/kafka/consumer"
	"example.com/todo/platform/kafka/internal/brokertest"
	"example.com/todo/platform/testenv"
)

// handlerFunc is a Handler of one function.
type handlerFunc func(ctx context.Context, batch []kafka.Record) (int, error)

func (h handlerFunc) Handle(ctx context.Context, batch []kafka.Record) (int, error) {
	return h(ctx, batch)
}

// notebook keeps what was handled.
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
	testenv.Eventually(t, fmt.Sprint(len(want), " records"), func() bool { return len(n.values(0)) >= len(want) })
	if diff := cmp.Diff(want, n.values(0)); diff != "" {
		t.Fatalf("handled (-want +got):\n%s", diff)
	}
}

func ready(t *testing.T, g *runningGroup) {
	t.Helper()
	testenv.Eventually(t, "the group to be ready", func() bool { return g.Ready(t.Context()) == nil })
}

func TestGroupHandlesEveryPartitionInOrder(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		const each = 700
		var records []*kgo.Record
		want := []string{}
		for i := range each {
			want = append(want, fmt.Sprint(i))
			for partition := range int32(brokertest.Partitions) {
				records = append(records, &kgo.Record{Partition: partition, Value: []byte(fmt.Sprint(i))})
			}
		}
		w.Send(t, records...)
		notes := &notebook{}
		group := run(t, groupConfig(w, "readers"), notes)
		testenv.Eventually(t, "all records", func() bool { return notes.count() >= each*brokertest.Partitions })
		group.stop()
		for partition := range int32(brokertest.Partitions) {
			if diff := cmp.Diff(want, notes.values(partition)); diff != "" {
				t.Errorf("partition %d (-want +got):\n%s", partition, diff)
			}
		}
		if got := testutil.CollectAndCount(group.registry, "kafka_consumer_records_total"); got != 3 {
			t.Errorf("%d series of outcomes, want 3", got)
		}
		if calls := metric(t, group, "kafka_consumer_handle_seconds{}"); calls < brokertest.Partitions {
			t.Errorf("%v calls of the handler are measured", calls)
		}
		wantMetric(t, group, `kafka_consumer_records_total{outcome="handled"}`, each*brokertest.Partitions)
	})
}

func TestGroupContinuesAtItsCommittedOffset(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		w.Send(t, brokertest.Value("1"), brokertest.Value("2"))
		before := &notebook{}
		group := run(t, groupConfig(w, "readers"), before)
		before.handles(t, "1", "2")
		group.stop()
		w.Send(t, brokertest.Value("3"))
		after := &notebook{}
		run(t, groupConfig(w, "readers"), after)
		after.handles(t, "3")
		other := &notebook{}
		run(t, groupConfig(w, "others"), other)
		other.handles(t, "1", "2", "3")
	})
}

func TestGroupHoldsThePartitionDuringTransientErrors(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		w.Send(t, brokertest.Value("1"), brokertest.Value("2"), brokertest.Value("3"))
		notes := &notebook{}
		failures := 0
		group := run(t, groupConfig(w, "readers"), handlerFunc(func(_ context.Context, batch []kafka.Record) (int, error) {
			for i, record := range batch {
				if string(record.Value) == "2" && failures < 3 {
					failures++
					return i, errors.New("the store is unavailable")
				}
				notes.add(record)
			}
			return len(batch), nil
		}))
		notes.handles(t, "1", "2", "3")
		group.stop()
		wantMetric(t, group, `kafka_consumer_retries_total{}`, 3)
		if got := w.Total(t, w.DLQ); got != 0 {
			t.Errorf("%d dead letters for a failure that passed", got)
		}
	})
}

func TestGroupHoldsOnlyThePartitionThatFails(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	w.Send(t, brokertest.Value("held"), &kgo.Record{Partition: 1, Value: []byte("free")})
	notes := &notebook{}
	group := run(t, groupConfig(w, "readers"), handlerFunc(func(ctx context.Context, batch []kafka.Record) (int, error) {
		if batch[0].Partition == 0 {
			return 0, errors.New("the store is unavailable")
		}
		return notes.Handle(ctx, batch)
	}))
	testenv.Eventually(t, "the other partition", func() bool { return len(notes.values(1)) == 1 })
	begun := time.Now()
	group.stop()
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("stopping during a delay took %v", took)
	}
	after := &notebook{}
	run(t, groupConfig(w, "readers"), after)
	after.handles(t, "held")
}

func TestGroupSkipsReplaysForOtherGroups(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		replay := func(group, text string) *kgo.Record {
			return &kgo.Record{Value: []byte(text), Headers: []kgo.RecordHeader{{Key: "replay-group", Value: []byte(w.Group(group))}}}
		}
		w.Send(t, replay("others", "1"), brokertest.Value("2"), replay("readers", "3"), replay("others", "4"))
		notes := &notebook{}
		group := run(t, groupConfig(w, "readers"), notes)
		notes.handles(t, "2", "3")
		passedOver := `kafka_consumer_records_total{outcome="skipped"}`
		testenv.Eventually(t, "the last to be passed over", func() bool { return metric(t, group, passedOver) == 2 })
		group.stop()
		other := &notebook{}
		run(t, groupConfig(w, "others"), other)
		other.handles(t, "1", "2", "4")
	})
}

func TestGroupFinishesTheBatchInProgressWhenStopped(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		w.Send(t, brokertest.Value("1"))
		begun, finish := make(chan struct{}), make(chan struct{})
		notes := &notebook{}
		group := run(t, groupConfig(w, "readers"), handlerFunc(func(ctx context.Context, batch []kafka.Record) (int, error) {
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
		w.Send(t, brokertest.Value("2"))
		after := &notebook{}
		run(t, groupConfig(w, "readers"), after)
		after.handles(t, "2")
	})
}

func TestOtherMembersGetThePartitionsOfAStoppedOne(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		one, two := &notebook{}, &notebook{}
		first := run(t, groupConfig(w, "readers"), one)
		second := run(t, groupConfig(w, "readers"), two)
		ready(t, first)
		ready(t, second)
		send := func(text string) {
			for partition := range int32(brokertest.Partitions) {
				w.Send(t, &kgo.Record{Partition: partition, Value: []byte(text)})
			}
		}
		both := func(want int) {
			t.Helper()
			testenv.Eventually(t, fmt.Sprint(want, " records"), func() bool { return one.count()+two.count() == want })
		}
		testenv.Eventually(t, "both to have a share", func() bool {
			send("shared")
			return one.count() > 0 && two.count() > 0
		})
		sent := int(w.Total(t, w.Topic))
		both(sent)
		first.stop()
		send("alone")
		both(sent + brokertest.Partitions)
	})
}

// The next process gets the records of the stuck handler.
func TestRunReturnsAnErrorWhenTheHandlerIsStuck(t *testing.T) {
	t.Parallel()
	for name, stopped := range map[string]bool{"in the middle": false, "when stopped": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := brokertest.NewFakeEnv(t)
			w.Send(t, brokertest.Value("1"), brokertest.Value("2"))
			ctx, cancel := context.WithCancel(brokertest.TimeoutContext(t))
			letGo := make(chan struct{})
			t.Cleanup(func() { close(letGo) })
			group := consumer.NewGroup(groupConfig(w, "readers"), handlerFunc(func(context.Context, []kafka.Record) (int, error) {
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
			run(t, groupConfig(w, "readers"), notes)
			notes.handles(t, "1", "2")
		})
	}
}

func TestAStaticMemberRejoinsAtOnce(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		cfg := groupConfig(w, "readers")
		cfg.InstanceID = "reader-0"
		for i := range 3 {
			notes := &notebook{}
			group := run(t, cfg, notes)
			w.Send(t, brokertest.Value(fmt.Sprint(i)))
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
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		few := groupConfig(w, "readers")
		few.Partitions++
		want := &kafka.TopicError{Topic: w.Topic, Want: brokertest.Partitions + 1, Have: brokertest.Partitions}
		group := consumer.NewGroup(few, &notebook{}, logger(t), prometheus.NewRegistry())
		var wrong *kafka.TopicError
		if err := group.Run(brokertest.TimeoutContext(t)); !errors.As(err, &wrong) || !cmp.Equal(wrong, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	})
}

func TestGroupWaitsForATopicThatIsMissing(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		missing, nowhere := groupConfig(w, "readers"), groupConfig(w, "readers")
		missing.Topic = "missing-" + w.Topic
		nowhere.DLQ = "missing-" + w.DLQ
		for topic, cfg := range map[string]consumer.GroupConfig{missing.Topic: missing, nowhere.DLQ: nowhere} {
			group := run(t, cfg, &notebook{})
			want := `topic "` + topic + `" does not exist: create it`
			testenv.Eventually(t, "not ready", func() bool {
				err := group.Ready(t.Context())
				return err != nil && strings.Contains(err.Error(), want)
			})
			if _, err := w.Admin(t).CreateTopic(t.Context(), brokertest.Partitions, 1, nil, topic); err != nil {
				t.Fatal(err)
			}
			testenv.Eventually(t, "ready", func() bool { return group.Ready(t.Context()) == nil })
		}
	})
}

func TestLogEndOffsetsAreThoseOfTheNextRecords(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		w.Send(t, brokertest.Value("1"), brokertest.Value("2"), &kgo.Record{Partition: 2, Value: []byte("3")})
		group := run(t, groupConfig(w, "readers"), &notebook{})
		for range 2 {
			got, err := group.LogEndOffsets(brokertest.TimeoutContext(t))
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
				return one.GetCounter().GetValue() + one.GetGauge().GetValue() + float64(one.GetHistogram().GetSampleCount())
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
