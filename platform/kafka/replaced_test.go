package kafka_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"example.com/todo/platform/kafka"
)

// everyKafkaAndWithoutIDs is onEachBroker, and a Kafka that gives topics no ids.
func everyKafkaAndWithoutIDs(t *testing.T, test func(t *testing.T, w env)) {
	onEachBroker(t, test)
	t.Run("without topic ids", func(t *testing.T) {
		t.Parallel()
		test(t, newFakeEnv(t, kfake.MaxVersions(kversion.V2_7_0())))
	})
}

// recreate deletes the topic and creates it again under its name.
func (w env) recreate(t *testing.T) {
	t.Helper()
	client := w.client(t)
	removal := kmsg.NewPtrDeleteTopicsRequest()
	removal.TopicNames = []string{w.topic}
	named := kmsg.NewDeleteTopicsRequestTopic()
	named.Topic = &w.topic
	removal.Topics = append(removal.Topics, named) // which one counts depends on the version
	response, err := removal.RequestWith(timeoutContext(t), client)
	if err == nil {
		err = kerr.ErrorForCode(response.Topics[0].ErrorCode)
	}
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the topic to be created again", func() bool { return create(timeoutContext(t), client, w.topic) == nil })
}

// committedOffset returns the group's offset of partition 0 and what is stored beside it.
func (w env) committed(t *testing.T, group string) (offset int64, metadata string) {
	t.Helper()
	topic := kmsg.NewOffsetFetchRequestTopic()
	topic.Topic, topic.Partitions = w.topic, []int32{0}
	request := kmsg.NewPtrOffsetFetchRequest()
	request.Group, request.Topics = group, append(request.Topics, topic)
	response, err := request.RequestWith(timeoutContext(t), w.client(t, kgo.MaxVersions(kversion.V2_7_0())))
	if err != nil {
		t.Fatal(err)
	}
	found := response.Topics[0].Partitions[0]
	if found.Metadata != nil {
		metadata = *found.Metadata
	}
	return found.Offset, metadata
}

func values(prefix string, count int) (records []*kgo.Record) {
	for i := range count {
		records = append(records, value(fmt.Sprint(prefix, i)))
	}
	return records
}

func TestAGroupThatReadsATopicWhileItIsCreatedAgainBeginsAtItsStart(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) {
		w.send(t, values("old ", 5)...)
		notes := &notebook{}
		group := run(t, w.groupConfig("readers"), notes)
		notes.handles(t, "old 0", "old 1", "old 2", "old 3", "old 4")
		w.recreate(t)
		w.send(t, values("new ", 9)...)
		eventually(t, "the new topic's records", func() bool {
			seen := notes.values(0)
			return slices.Contains(seen, "new 0") && slices.Contains(seen, "new 8")
		})
		if replaced := metric(t, group, `kafka_consumer_replaced_topics_total{}`); replaced < 1 {
			t.Errorf("%v replaced topics were counted, want at least 1", replaced)
		}
	})
}

// Kafka deletes the group's offsets along with the topic. A member that goes on
// reading commits its own afterwards, for the topic of that name.
func TestAnOffsetThatWasCommittedOfAnEarlierTopicIsGivenUp(t *testing.T) {
	t.Parallel()
	everyKafkaAndWithoutIDs(t, func(t *testing.T, w env) {
		w.send(t, values("old ", 5)...)
		notes := &notebook{}
		first := run(t, w.groupConfig("readers"), notes)
		notes.handles(t, "old 0", "old 1", "old 2", "old 3", "old 4")
		if err := first.stop(); err != nil {
			t.Fatal(err)
		}
		offset, metadata := w.committed(t, w.group("readers"))
		w.recreate(t)
		w.send(t, values("new ", 9)...)
		commitWith(t, w, w.group("readers"), offset, metadata)
		notes = &notebook{}
		second := run(t, w.groupConfig("readers"), notes)
		eventually(t, "the new topic's records", func() bool { return len(notes.values(0)) >= 9 })
		if seen := notes.values(0); seen[0] != "new 0" || len(seen) != 9 {
			t.Errorf("read %q", seen)
		}
		if replaced := metric(t, second, `kafka_consumer_replaced_topics_total{}`); replaced < 1 {
			t.Errorf("%v replaced topics were counted, want at least 1", replaced)
		}
	})
}

// What the version before committed, or a program of Kafka's own, has no origin.
func TestAnOffsetThatSaysNothingOfItsTopicIsTaken(t *testing.T) {
	t.Parallel()
	everyKafkaAndWithoutIDs(t, func(t *testing.T, w env) {
		w.send(t, values("", 5)...)
		commitWith(t, w, w.group("readers"), 3, "")
		notes := &notebook{}
		group := run(t, w.groupConfig("readers"), notes)
		notes.handles(t, "3", "4")
		if err := group.stop(); err != nil {
			t.Fatal(err)
		}
		if offset, metadata := w.committed(t, w.group("readers")); offset != 5 || metadata == "" {
			t.Errorf("then %d is committed, of the log %q", offset, metadata)
		}
		notes = &notebook{}
		run(t, w.groupConfig("readers"), notes)
		w.send(t, value("5"))
		notes.handles(t, "5")
	})
}

// logRecorder is a ledger that has no opinion and keeps the log it is shown.
type logRecorder struct {
	*notebook
	shown chan kafka.PartitionLog
}

func (l *logRecorder) StartOffset(_ context.Context, partition int32, log kafka.PartitionLog) (int64, error) {
	if partition == 0 {
		select {
		case l.shown <- log:
		default:
		}
	}
	return -1, nil
}

func TestALogIsAskedForTheRecordThatAnOriginNames(t *testing.T) {
	t.Parallel()
	everyKafkaAndWithoutIDs(t, func(t *testing.T, w env) {
		w.send(t, values("", 4)...)
		ledger := &logRecorder{notebook: &notebook{}, shown: make(chan kafka.PartitionLog, 1)}
		run(t, w.groupConfig("readers"), ledger)
		log := <-ledger.shown
		w.deleteBelow(t, map[int32]int64{0: 2})
		for name, test := range map[string]struct {
			record kafka.Record
			owned  bool
		}{
			"which is there":                     {kafka.Record{Offset: 3, Value: []byte("3")}, true},
			"in whose place another is":          {kafka.Record{Offset: 3, Value: []byte("old 3")}, false},
			"which would come after the last":    {kafka.Record{Offset: 4, Value: []byte("4")}, false},
			"which would be far beyond the last": {kafka.Record{Offset: 400, Value: []byte("400")}, false},
			"which the log has dropped":          {kafka.Record{Offset: 1, Value: []byte("old 1")}, true},
		} {
			if owned, err := log.Matches(timeoutContext(t), test.record.Incarnation()); err != nil || owned != test.owned {
				t.Errorf("%s: %t, %v; want %t", name, owned, err, test.owned)
			}
		}
	})
}
