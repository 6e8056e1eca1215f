package consumer_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/consumer"
	"example.com/todo/platform/kafka/internal/brokertest"
	"example.com/todo/platform/kafka/producer"
	"example.com/todo/platform/testenv"
)

func TestGroupSurvivesABrokerOutage(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	notes := &notebook{}
	group := run(t, groupConfig(w, "readers"), notes)
	w.Send(t, brokertest.Value("1"))
	notes.handles(t, "1")
	w.Fake.Stop()
	testenv.Eventually(t, "the group to notice", func() bool { return group.Ready(t.Context()) != nil })
	w.Fake.Start()
	ready(t, group)
	w.Send(t, brokertest.Value("2"))
	testenv.Eventually(t, "the next record", func() bool { return slices.Contains(notes.values(0), "2") })
}

func TestGroupJoinsWhenABrokerIsStartedLater(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	w.Fake.Stop()
	notes := &notebook{}
	group := run(t, groupConfig(w, "readers"), notes)
	if err := group.Ready(t.Context()); err == nil {
		t.Error("ready without a Kafka")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := group.LogEndOffsets(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Ends: got %v, want the deadline's error", err)
	}
	w.Fake.Start()
	ready(t, group)
	w.Send(t, brokertest.Value("1"))
	notes.handles(t, "1")
}

func TestGroupStopsWhileKafkaIsUnavailable(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]func(*brokertest.FakeCluster){"down": (*brokertest.FakeCluster).Stop, "frozen": (*brokertest.FakeCluster).Freeze} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := brokertest.NewFakeEnv(t)
			group := run(t, groupConfig(w, "readers"), &notebook{})
			ready(t, group)
			away(w.Fake)
			begun := time.Now()
			if err := group.stop(); err != nil {
				t.Error(err)
			}
			if took := time.Since(begun); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// freezing freezes the broker when StartOffset is called for the last partition, right
// before Sarama requests the offsets of each partition itself.
type freezing struct {
	notebook
	fake  *brokertest.FakeCluster
	asked int
}

func (f *freezing) StartOffset(context.Context, int32, kafka.PartitionLog) (int64, error) {
	if f.asked++; f.asked == brokertest.Partitions {
		f.fake.Freeze()
	}
	return -1, nil
}

func TestGroupStopsWhileKafkaIsUnavailableBeforeConsuming(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	group := run(t, groupConfig(w, "readers"), &freezing{fake: w.Fake})
	ready(t, group)
	begun := time.Now()
	if err := group.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

// A broker that has just started does not know all topics yet. The group checks both
// when it connects anew: here, because it was fenced.
func TestGroupWaitsForATopicThatIsTransientlyMissing(t *testing.T) {
	t.Parallel()
	for name, which := range map[string]func(brokertest.Env) string{
		"the topic":        func(w brokertest.Env) string { return w.Topic },
		"the dead letters": func(w brokertest.Env) string { return w.DLQ },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := brokertest.NewFakeEnv(t)
			notes := &notebook{}
			faulty, fenced := make(chan struct{}), false
			group := run(t, groupConfig(w, "readers"), handlerFunc(func(ctx context.Context, batch []kafka.Record) (int, error) {
				if <-faulty; !fenced {
					fenced = true
					return 0, consumer.ErrFenced
				}
				return notes.Handle(ctx, batch)
			}))
			ready(t, group)
			w.Send(t, brokertest.Value("1"))
			missing := w.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Topic: which(w), Err: kerr.UnknownTopicOrPartition, Count: -1})
			w.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup}, TopLevel: true, Err: kerr.FencedInstanceID})
			close(faulty)
			if err := missing.Wait(brokertest.TimeoutContext(t), 4); err != nil { // a check asks four times
				t.Fatal(err)
			}
			missing.Remove()
			notes.handles(t, "1")
		})
	}
}

func TestGroupFollowsMovingLeaders(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	if _, _, err := w.Fake.AddNode(-1, 0); err != nil {
		t.Fatal(err)
	}
	notes := &notebook{}
	ready(t, run(t, groupConfig(w, "readers"), notes))
	sender := producer.New(w.Config(), nil)
	t.Cleanup(func() { sender.Close() })
	var want []string
	for _, text := range []string{"1", "2", "3", "4", "5", "6"} {
		w.Fake.ShufflePartitionLeaders()
		record := kafka.Record{Topic: w.Topic, Key: []byte("c"), Value: []byte(text)}
		if err := sender.Send(brokertest.TimeoutContext(t), []kafka.Record{record}); err != nil {
			t.Fatal(err)
		}
		want = append(want, text)
	}
	testenv.Eventually(t, "all records", func() bool { return notes.count() >= len(want) })
	if notes.count() != len(want) {
		t.Errorf("%d records, want %d", notes.count(), len(want))
	}
}
