package kafka_test

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
)

func TestGroupOutlivesABrokerOutage(t *testing.T) {
	t.Parallel()
	w := newFakeEnv(t)
	notes := &notebook{}
	group := run(t, w.groupConfig("readers"), notes)
	w.send(t, value("1"))
	notes.handles(t, "1")
	w.fake.stop()
	eventually(t, "the group to notice", func() bool { return group.Ready(t.Context()) != nil })
	w.fake.restart()
	ready(t, group)
	w.send(t, value("2"))
	eventually(t, "the next record", func() bool { return slices.Contains(notes.values(0), "2") })
}

func TestGroupWaitsForAKafkaThatIsNotThereYet(t *testing.T) {
	t.Parallel()
	w := newFakeEnv(t)
	w.fake.stop()
	notes := &notebook{}
	group := run(t, w.groupConfig("readers"), notes)
	if err := group.Ready(t.Context()); err == nil {
		t.Error("ready without a Kafka")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := group.LogEndOffsets(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Ends: got %v, want the deadline's error", err)
	}
	w.fake.restart()
	ready(t, group)
	w.send(t, value("1"))
	notes.handles(t, "1")
}

// brokerAway are the ways in which a Kafka gives no answer.
var brokerAway = map[string]func(f *fakeCluster){
	"down": (*fakeCluster).stop,
	"frozen": func(f *fakeCluster) {
		f.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
			f.KeepControl()
			return nil, nil, true
		})
	},
}

func TestGroupStopsWhileKafkaIsAway(t *testing.T) {
	t.Parallel()
	for name, away := range brokerAway {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newFakeEnv(t)
			group := run(t, w.groupConfig("readers"), &notebook{})
			ready(t, group)
			away(w.fake)
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

// freezing freezes Kafka when the last partition is asked for, which is right
// before Sarama asks for each partition's place by itself.
type freezing struct {
	notebook
	fake  *fakeCluster
	asked int
}

func (f *freezing) StartOffset(context.Context, int32, kafka.PartitionLog) (int64, error) {
	if f.asked++; f.asked == partitions {
		brokerAway["frozen"](f.fake)
	}
	return -1, nil
}

func TestGroupStopsWhileItsClaimsHaveYetToBegin(t *testing.T) {
	t.Parallel()
	w := newFakeEnv(t)
	group := run(t, w.groupConfig("readers"), &freezing{fake: w.fake})
	ready(t, group)
	begun := time.Now()
	if err := group.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

// A broker that has just started does not know all topics yet. The group asks
// for both when it begins a membership anew: here, because it was fenced.
func TestGroupWaitsForATopicThatItHasSeen(t *testing.T) {
	t.Parallel()
	for name, which := range map[string]func(env) string{
		"the topic":        func(w env) string { return w.topic },
		"the dead letters": func(w env) string { return w.dlq },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newFakeEnv(t)
			notes := &notebook{}
			faulty, fenced := make(chan struct{}), false
			group := run(t, w.groupConfig("readers"), handlerFunc(func(ctx context.Context, batch []kafka.Record) (int, error) {
				if <-faulty; !fenced {
					fenced = true
					return 0, kafka.ErrFenced
				}
				return notes.Handle(ctx, batch)
			}))
			ready(t, group)
			w.send(t, value("1"))
			missing := w.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Topic: which(w), Err: kerr.UnknownTopicOrPartition, Count: -1})
			w.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup}, TopLevel: true, Err: kerr.FencedInstanceID})
			close(faulty)
			if err := missing.Wait(timeoutContext(t), 4); err != nil { // a check asks four times
				t.Fatal(err)
			}
			missing.Remove()
			notes.handles(t, "1")
		})
	}
}

func TestGroupFollowsMovingLeaders(t *testing.T) {
	t.Parallel()
	w := newFakeEnv(t)
	if _, _, err := w.fake.AddNode(-1, 0); err != nil {
		t.Fatal(err)
	}
	notes := &notebook{}
	ready(t, run(t, w.groupConfig("readers"), notes))
	producer := newProducer(t, w)
	var want []string
	for _, text := range []string{"1", "2", "3", "4", "5", "6"} {
		w.fake.ShufflePartitionLeaders()
		record := kafka.Record{Topic: w.topic, Key: []byte("c"), Value: []byte(text)}
		if err := producer.Send(timeoutContext(t), []kafka.Record{record}); err != nil {
			t.Fatal(err)
		}
		want = append(want, text)
	}
	eventually(t, "all records", func() bool { return notes.count() >= len(want) })
	if notes.count() != len(want) {
		t.Errorf("%d records, want %d", notes.count(), len(want))
	}
}
