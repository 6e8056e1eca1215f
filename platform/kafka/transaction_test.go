package kafka_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"example.com/todo/platform/kafka"
)

// transactionalProducer is a producer of transactions to partition 0 of its world's topic.
type transactionalProducer struct {
	w      env
	t      *testing.T
	client *kgo.Client
}

func (w env) transactions(t *testing.T, id string) transactionalProducer {
	t.Helper()
	client := w.client(t, kgo.TransactionalID(w.topic+"-"+id), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	return transactionalProducer{w: w, t: t, client: client}
}

// open begins a transaction that writes the texts, each in a batch of its own.
func (x transactionalProducer) open(texts ...string) {
	x.t.Helper()
	if err := x.client.BeginTransaction(); err != nil {
		x.t.Fatal(err)
	}
	for _, text := range texts {
		record := value(text)
		record.Topic = x.w.topic
		if err := x.client.ProduceSync(timeoutContext(x.t), record).FirstErr(); err != nil {
			x.t.Fatal(err)
		}
	}
}

// endSession ends the transaction and waits until its marker is written: Kafka answers before.
func (x transactionalProducer) end(how kgo.TransactionEndTry) {
	x.t.Helper()
	before := x.w.highWatermark(x.t)
	if err := x.client.EndTransaction(timeoutContext(x.t), how); err != nil {
		x.t.Fatal(err)
	}
	eventually(x.t, "the transaction's marker", func() bool { return x.w.highWatermark(x.t) > before })
}

// highWatermark is the end of partition 0, read uncommitted.
func (w env) highWatermark(t *testing.T) int64 {
	t.Helper()
	topic, partition := kmsg.NewListOffsetsRequestTopic(), kmsg.NewListOffsetsRequestTopicPartition()
	topic.Topic, partition.Timestamp = w.topic, -1
	topic.Partitions = append(topic.Partitions, partition)
	request := kmsg.NewPtrListOffsetsRequest()
	request.Topics = append(request.Topics, topic)
	response, err := request.RequestWith(timeoutContext(t), w.client(t))
	if err != nil {
		t.Fatal(err)
	}
	found := response.Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(found.ErrorCode); err != nil {
		t.Fatal(err)
	}
	return found.Offset
}

// committedOffset is the group's in partition 0.
func (w env) committedOffset(t *testing.T, group string) int64 {
	t.Helper()
	topic := kmsg.NewOffsetFetchRequestTopic()
	topic.Topic, topic.Partitions = w.topic, []int32{0}
	request := kmsg.NewPtrOffsetFetchRequest()
	request.Group, request.Topics = w.group(group), []kmsg.OffsetFetchRequestTopic{topic}
	requestGroup := kmsg.NewOffsetFetchRequestGroup()
	requestGroup.Group = w.group(group)
	requestTopic := kmsg.NewOffsetFetchRequestGroupTopic()
	requestTopic.Topic, requestTopic.Partitions = w.topic, []int32{0}
	requestGroup.Topics = append(requestGroup.Topics, requestTopic)
	request.Groups = append(request.Groups, requestGroup)
	response, err := request.RequestWith(timeoutContext(t), w.client(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(response.Groups) > 0 {
		return response.Groups[0].Topics[0].Partitions[0].Offset
	}
	return response.Topics[0].Partitions[0].Offset
}

// mixed writes to partition 0 what transactions can leave there, of which readers
// are given the values committed: 15 offsets, with an open transaction behind them.
func (w env) mixed(t *testing.T) (committed []string, stable int64, open transactionalProducer) {
	t.Helper()
	one, two, open := w.transactions(t, "one"), w.transactions(t, "two"), w.transactions(t, "open")
	one.open("aborted first") // 0, marker 1
	one.end(kgo.TryAbort)
	one.open("committed") // 2, marker 3: the same producer commits after it aborted
	one.end(kgo.TryCommit)
	w.send(t, value("plain")) // 4
	one.open("interleaved 1") // 5
	two.open("aborted 2")     // 6
	w.send(t, value("plain 2"))
	one.end(kgo.TryCommit) // marker 8
	two.end(kgo.TryAbort)  // marker 9
	two.open("committed by two")
	two.end(kgo.TryCommit) // 10, marker 11
	one.open("aborted at the end", "and its second")
	one.end(kgo.TryAbort) // 12, 13, marker 14
	open.open("open")     // 15
	w.send(t, value("plain 3"))
	return []string{"committed", "plain", "interleaved 1", "plain 2", "committed by two"}, 15, open
}

func TestAGroupIsGivenWhatIsCommittedAlone(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) {
		committed, stable, open := w.mixed(t)
		notes := &notebook{}
		group := run(t, w.groupConfig("readers"), notes)
		notes.handles(t, committed...)
		wantLag(t, group, 0, 0, 0)
		eventually(t, "the group's offset to move over what no reader is given", func() bool {
			return w.committedOffset(t, "readers") == stable
		})
		ends, err := group.LogEndOffsets(timeoutContext(t))
		if diff := cmp.Diff(map[int32]int64{0: stable, 1: 0, 2: 0}, ends); diff != "" || err != nil {
			t.Errorf("%v, ends (-want +got):\n%s", err, diff)
		}

		open.end(kgo.TryCommit)
		notes.handles(t, append(committed, "open", "plain 3")...)
		eventually(t, "the group's offset to move over the last marker", func() bool {
			return w.committedOffset(t, "readers") == w.highWatermark(t)
		})
		wantLag(t, group, 0, 0, 0)
	})
}

func TestALedgerFollowsOverWhatNoReaderIsGiven(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(transactionalProducer){
		"the marker of a commit":     func(x transactionalProducer) { x.open("0"); x.end(kgo.TryCommit) },
		"nothing but aborted":        func(x transactionalProducer) { x.open("x", "y"); x.end(kgo.TryAbort) },
		"several transactions' ends": func(x transactionalProducer) { x.open("0"); x.end(kgo.TryCommit); x.open("x"); x.end(kgo.TryAbort) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEachBroker(t, func(t *testing.T, w env) {
				write(w.transactions(t, "one"))
				end := w.highWatermark(t)
				f := &skipObserver{}
				group := run(t, w.groupConfig("readers"), f)
				eventually(t, "the ledger to follow", func() bool { return f.place() == end })
				wantLag(t, group, 0, 0, 0)
				group.stop()
				again := run(t, w.groupConfig("readers"), f)
				w.send(t, value("next"))
				eventually(t, "the next record", func() bool { return f.place() == end+1 })
				again.stop()
			})
		})
	}
}

// A reader that has no record yet must not be moved over those that come.
func TestARecordBehindAGapIsHandled(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) {
		notes := &notebook{}
		group := run(t, w.groupConfig("readers"), notes)
		ready(t, group)
		x := w.transactions(t, "one")
		var want []string
		for _, text := range []string{"a", "b", "c", "d"} {
			x.open("aborted")
			x.end(kgo.TryAbort)
			x.open(text)
			x.end(kgo.TryCommit)
			want = append(want, text)
		}
		notes.handles(t, want...)
		wantLag(t, group, 0, 0, 0)
		notes.handles(t, want...)
	})
}

// Compaction may leave the log's end without a record.
func TestAGroupMovesOverBatchesThatWereEmptied(t *testing.T) {
	t.Parallel()
	w := newFakeEnv(t)
	w.send(t, value("0"), value("1"), value("2"), value("3"))
	w.emptyBetween(0, 4)
	f := &skipObserver{}
	group := run(t, w.groupConfig("readers"), f)
	eventually(t, "the ledger to follow", func() bool { return f.place() == 4 })
	wantLag(t, group, 0, 0, 0)
	w.send(t, value("4"))
	f.handles(t, "4")
}

func TestScanHandsOverWhatIsCommittedAlone(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) {
		committed, stable, open := w.mixed(t)
		seen, next := scan(t, w, nil)
		var values []string
		for _, record := range seen.records[0] {
			values = append(values, string(record.Value))
		}
		if diff := cmp.Diff(committed, values); diff != "" || next[0] != stable {
			t.Errorf("goes on at %d, want %d (-want +got):\n%s", next[0], stable, diff)
		}
		if diff := cmp.Diff(map[int32][]int64{0: {2, 4, 5, 7, 10}}, seen.offsets()); diff != "" {
			t.Errorf("offsets (-want +got):\n%s", diff)
		}
		open.end(kgo.TryAbort)
		rest, next := scan(t, w, next)
		if diff := cmp.Diff(map[int32][]int64{0: {16}}, rest.offsets()); diff != "" || next[0] != w.highWatermark(t) {
			t.Errorf("the rest goes on at %d (-want +got):\n%s", next[0], diff)
		}
	})
}

// Where an aborted transaction ends no earlier than in the middle of what is read.
func TestScanFromTheMiddleOfATransaction(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) {
		x := w.transactions(t, "one")
		x.open("0", "1", "2")
		x.end(kgo.TryAbort)
		x.open("4", "5")
		x.end(kgo.TryCommit)
		for from, want := range map[int64][]int64{1: {4, 5}, 3: {4, 5}, 5: {5}, 6: nil, 7: nil} {
			seen, next := scan(t, w, map[int32]int64{0: from})
			if diff := cmp.Diff(want, seen.offsets()[0]); diff != "" || next[0] != 7 {
				t.Errorf("from %d goes on at %d (-want +got):\n%s", from, next[0], diff)
			}
		}
	})
}

// An earlier version read uncommitted: its offset may lie in an open transaction,
// which is no reason to read the whole log again.
func TestAnOffsetInAnOpenTransactionIsKept(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) {
		w.send(t, value("0"), value("1"))
		x := w.transactions(t, "one")
		x.open("2", "3", "4")
		commit(t, w, w.group("readers"), 4)
		notes := &notebook{}
		ready(t, run(t, w.groupConfig("readers"), notes))
		x.end(kgo.TryCommit)
		notes.handles(t, "4")
	})
}

func TestALedgerIsToldTheLastStableOffset(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) {
		w.send(t, value("0"))
		w.transactions(t, "one").open("1", "2")
		told := make(chan int64, 10)
		group := run(t, w.groupConfig("readers"), &newestRecorder{notebook: &notebook{}, told: told})
		ready(t, group)
		if newest := <-told; newest != 1 {
			t.Errorf("told that the log ends at %d, want 1", newest)
		}
	})
}

func TestOffsetsSinceTheZeroTimeAreTheLogsStart(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) {
		w.send(t, value("0"), value("1"), value("2"))
		w.deleteBelow(t, map[int32]int64{0: 2})
		x := w.transactions(t, "one")
		x.open("3")
		offsets, err := kafka.OffsetsSince(timeoutContext(t), w.config(), w.topic, time.Time{})
		if diff := cmp.Diff(map[int32]int64{0: 2, 1: 0, 2: 0}, offsets); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
}

// newestRecorder is a ledger that has no opinion and tells what it is told of partition 0.
type newestRecorder struct {
	*notebook
	told chan int64
}

func (l *newestRecorder) StartOffset(_ context.Context, partition int32, log kafka.PartitionLog) (int64, error) {
	if partition == 0 {
		l.told <- log.Newest
	}
	return -1, nil
}

// emptyBetween makes the broker answer requests for partition 0, from the one
// offset up to the other, with a batch that compaction emptied.
func (w env) emptyBetween(from, to int64) {
	batch := kmsg.RecordBatch{
		FirstOffset: from, LastOffsetDelta: int32(to - from - 1), Length: 49, Magic: 2,
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
	}
	w.respondToFetch(w.topic, storedBatch{next: to, bytes: setChecksum(batch.AppendTo(nil))})
}

// A partition with many aborted transactions is passed as fast as the broker answers.
func TestBatchesWithoutRecordsAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	w := newFakeEnv(t)
	const batches = 300
	w.send(t, values("", batches+1)...)
	w.fake.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		w.fake.KeepControl()
		asked := request.(*kmsg.FetchRequest)
		if len(asked.Topics) != 1 || asked.Topics[0].Topic != w.topic || asked.Topics[0].Partitions[0].Partition != 0 ||
			asked.Topics[0].Partitions[0].FetchOffset >= batches {
			return nil, nil, false
		}
		answer := asked.ResponseKind().(*kmsg.FetchResponse)
		answered, partition := kmsg.NewFetchResponseTopic(), kmsg.NewFetchResponseTopicPartition()
		answered.Topic, partition.HighWatermark, partition.LastStableOffset = w.topic, batches+1, batches+1
		partition.RecordBatches = encodeBatch(asked.Topics[0].Partitions[0].FetchOffset, func(b []byte) []byte {
			copy(b[23:], []byte{0, 0, 0, 0}) // its last offset is its first
			return setChecksum(b)
		})
		answered.Partitions = append(answered.Partitions, partition)
		answer.Topics = append(answer.Topics, answered)
		return answer, nil, true
	})
	notes := &notebook{}
	run(t, w.groupConfig("readers"), notes)
	notes.handles(t, fmt.Sprint(batches))
}
