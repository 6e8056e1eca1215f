package kafka_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"example.com/todo/platform/kafka"
)

// sendOversizedBatch writes one batch that unpacks to 72 MB to partition 0: 80 records.
func (w env) sendOversizedBatch(t *testing.T, topic string, codec kgo.CompressionCodec) {
	t.Helper()
	client := w.client(t, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(codec),
		kgo.ProducerBatchMaxBytes(1<<30), kgo.BrokerMaxWriteBytes(1<<30), kgo.ManualFlushing(), kgo.RequestTimeoutOverhead(30*time.Second))
	value := bytes.Repeat([]byte("b"), 900_000)
	var failed atomic.Pointer[error]
	for range 80 {
		client.Produce(timeoutContext(t), &kgo.Record{Topic: topic, Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.Store(&err)
			}
		})
	}
	if err := client.Flush(timeoutContext(t)); err != nil || failed.Load() != nil {
		t.Fatal(err, failed.Load())
	}
}

// encodeBatch makes a batch of records of these values, which damage may change.
func encodeBatch(first int64, damage func(batch []byte) []byte, values ...string) []byte {
	batch := kmsg.RecordBatch{
		FirstOffset: first, LastOffsetDelta: int32(len(values) - 1), Magic: 2, NumRecords: int32(len(values)),
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
	}
	for i, value := range values {
		record := kmsg.Record{OffsetDelta: int32(i), Value: []byte(value)}
		record.Length = int32(len(record.AppendTo(nil)) - 1)
		batch.Records = record.AppendTo(batch.Records)
	}
	batch.Length = int32(len(batch.AppendTo(nil)) - 12)
	made := batch.AppendTo(nil)
	setChecksum(made)
	if damage != nil {
		made = damage(made)
	}
	return made
}

// setChecksum gives the batch its checksum.
func setChecksum(batch []byte) []byte {
	const checksum, checked = 17, 21 // where it is, and what it is of
	binary.BigEndian.PutUint32(batch[checksum:], crc32.Checksum(batch[checked:], crc32.MakeTable(crc32.Castagnoli)))
	return batch
}

// corruptions make a batch undecodable, each in its way.
var corruptions = map[string]func([]byte) []byte{
	"a wrong checksum":          func(b []byte) []byte { b[len(b)-2] ^= 1; return b },
	"a codec that there is not": func(b []byte) []byte { b[22] |= 7; return setChecksum(b) },
	"no gzip":                   func(b []byte) []byte { b[22] |= 1; return setChecksum(b) },
	"no zstd":                   func(b []byte) []byte { b[22] |= 4; return setChecksum(b) },
	"a format to come":          func(b []byte) []byte { b[16] = 3; return b },
	"an old format":             func(b []byte) []byte { b[16] = 1; return b },
	"a negative format":         func(b []byte) []byte { b[16] = 0xff; return b },
	"fewer bytes than it says":  func(b []byte) []byte { return b[:len(b)-3] },
	"more records than it has":  func(b []byte) []byte { b[60]++; return setChecksum(b) },
	"fewer records than it has": func(b []byte) []byte { b[60]--; return setChecksum(b) },
	"countless records":         func(b []byte) []byte { b[57] = 0x7f; return setChecksum(b) },
	"negative records":          func(b []byte) []byte { b[57] = 0xff; return setChecksum(b) },
	"a length of nothing":       func(b []byte) []byte { copy(b[8:], []byte{0, 0, 0, 0}); return b },
	"a negative length":         func(b []byte) []byte { b[8] = 0xff; return b },
}

// storedBatch is a batch as a broker has it.
type storedBatch struct {
	next  int64 // the offset after it
	bytes []byte
}

// batchesOf makes a batch of each value, from the offset on.
func batchesOf(first int64, values ...string) []storedBatch {
	var batches []storedBatch
	for i, value := range values {
		batches = append(batches, storedBatch{next: first + int64(i) + 1, bytes: encodeBatch(first+int64(i), nil, value)})
	}
	return batches
}

// handlerResult makes the broker answer requests for partition 0 of the topic with these
// batches, as long as there is one at the offset asked for.
func (w env) respondToFetch(topic string, batches ...storedBatch) {
	first, end := int64(binary.BigEndian.Uint64(batches[0].bytes)), batches[len(batches)-1].next
	w.fake.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		w.fake.KeepControl()
		asked := request.(*kmsg.FetchRequest)
		if len(asked.Topics) != 1 {
			return nil, nil, false
		}
		for _, partition := range asked.Topics[0].Partitions {
			from := partition.FetchOffset
			if asked.Topics[0].Topic != topic || partition.Partition != 0 || from < first || from >= end {
				continue
			}
			answer := asked.ResponseKind().(*kmsg.FetchResponse)
			answered, answering := kmsg.NewFetchResponseTopic(), kmsg.NewFetchResponseTopicPartition()
			answered.Topic, answering.HighWatermark, answering.LastStableOffset = topic, end, end
			for _, batch := range batches {
				if batch.next <= from {
					continue
				}
				if sum := len(answering.RecordBatches); sum > 0 && sum+len(batch.bytes) > int(partition.PartitionMaxBytes) {
					break
				}
				answering.RecordBatches = append(answering.RecordBatches, batch.bytes...)
			}
			answered.Partitions = append(answered.Partitions, answering)
			answer.Topics = append(answer.Topics, answered)
			return answer, nil, true
		}
		return nil, nil, false
	})
}

// wantBatchLetter checks the dead letter of a batch of partition 0.
func (w env) wantBatchLetter(t *testing.T, letter *kgo.Record, first, last string) {
	t.Helper()
	headers := map[string]string{}
	for _, header := range letter.Headers {
		headers[header.Key] = string(header.Value)
	}
	if letter.Value != nil || letter.Key != nil || headers["original-topic"] != w.topic || headers["original-partition"] != "0" ||
		headers["original-offset"] != first || headers["original-last-offset"] != last || len(headers["original-size"]) < 2 ||
		headers["error"] == "" || headers["attempts"] != "1" || headers["failed-at"] == "" {
		t.Errorf("the letter has the key %q, the value %.20q, the headers %v", letter.Key, letter.Value, headers)
	}
}

func TestABatchThatUnpacksTooLargeIsDeadLettered(t *testing.T) {
	t.Parallel()
	for name, codec := range map[string]kgo.CompressionCodec{
		"gzip": kgo.GzipCompression(), "zstd": kgo.ZstdCompression(),
	} {
		t.Run(name, func(t *testing.T) { // one after another: each needs much memory
			onEachBroker(t, func(t *testing.T, w env) {
				w.send(t, value("before"))
				w.sendOversizedBatch(t, w.topic, codec)
				w.send(t, value("after"), &kgo.Record{Partition: 1, Value: []byte("beside")})
				notes := &notebook{}
				group := run(t, w.groupConfig("readers"), notes)
				notes.handles(t, "before", "after")
				w.wantBatchLetter(t, w.read(t, w.dlq, 1)[0], "1", "80")
				wantMetric(t, group, "kafka_consumer_undecodable_batches_total{}", 1)
				wantMetric(t, group, `kafka_consumer_records_total{outcome="dead_lettered"}`, 1)
				wantLag(t, group, 0, 0, 0)
				ready(t, group)
				group.stop()
				again := &notebook{}
				run(t, w.groupConfig("readers"), again)
				w.send(t, value("later"))
				again.handles(t, "later")

				seen, next := scan(t, w, nil)
				var offsets []int64
				for _, record := range seen.records[0] {
					if offsets = append(offsets, record.Offset); (record.Undecodable != nil) != (record.Offset == 1) {
						t.Errorf("offset %d: %v", record.Offset, record.Undecodable)
					}
				}
				if diff := cmp.Diff([]int64{0, 1, 81, 82}, offsets); diff != "" || next[0] != 83 {
					t.Errorf("the scan goes on at %d (-want +got):\n%s", next[0], diff)
				}
			})
		})
	}
}

func TestABatchThatCannotBeDecodedIsDeadLettered(t *testing.T) {
	t.Parallel()
	for name, damage := range corruptions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newFakeEnv(t)
			w.send(t, value("0"), value("1"), value("2"), value("3"), value("4"), value("5"), value("6"), value("7"))
			batches := batchesOf(0, "0", "1")
			batches = append(batches, storedBatch{next: 4, bytes: encodeBatch(2, damage, "2", "3")})
			batches = append(batches, batchesOf(4, "4")...)
			batches = append(batches, storedBatch{next: 7, bytes: encodeBatch(5, damage, "5", "6")})
			w.respondToFetch(w.topic, append(batches, batchesOf(7, "7")...)...)
			notes := &notebook{}
			group := run(t, w.groupConfig("readers"), notes)
			notes.handles(t, "0", "1", "4", "7")
			letters := w.read(t, w.dlq, 2)
			slices.SortFunc(letters, func(a, b *kgo.Record) int { return bytes.Compare(a.Headers[3].Value, b.Headers[3].Value) })
			w.wantBatchLetter(t, letters[0], "2", "3")
			w.wantBatchLetter(t, letters[1], "5", "6")
			wantMetric(t, group, "kafka_consumer_undecodable_batches_total{}", 2)
			ready(t, group)

			seen, next := scan(t, w, nil)
			if diff := cmp.Diff([]int64{0, 1, 2, 4, 5, 7}, seen.offsets()[0]); diff != "" || next[0] != 8 {
				t.Fatalf("the scan goes on at %d (-want +got):\n%s", next[0], diff)
			}
			if bad := seen.records[0][2].Undecodable; bad == nil || !strings.Contains(bad.Error(), "offsets 2 to 3") {
				t.Errorf("the scan says %v", bad)
			}
		})
	}
}

// A position beyond the log's end would have the group begin again at the log's start.
func TestABatchThatSaysItEndsBeyondTheLogIsPassedOffsetByOffset(t *testing.T) {
	t.Parallel()
	w := newFakeEnv(t)
	w.send(t, value("0"), value("1"), value("2"), value("3"))
	far := func(b []byte) []byte { b[23] = 0x7f; return b } // its last offset; the checksum is wrong then
	batches := append(batchesOf(0, "0"), storedBatch{next: 3, bytes: encodeBatch(1, far, "1", "2")})
	w.respondToFetch(w.topic, append(batches, batchesOf(3, "3")...)...)
	notes := &notebook{}
	run(t, w.groupConfig("readers"), notes)
	notes.handles(t, "0", "3")
	letters := w.read(t, w.dlq, 2)
	slices.SortFunc(letters, func(a, b *kgo.Record) int { return bytes.Compare(a.Headers[3].Value, b.Headers[3].Value) })
	w.wantBatchLetter(t, letters[0], "1", "1")
	w.wantBatchLetter(t, letters[1], "2", "2")

	seen, next := scan(t, w, nil)
	if diff := cmp.Diff([]int64{0, 1, 2, 3}, seen.offsets()[0]); diff != "" || next[0] != 4 {
		t.Fatalf("the scan goes on at %d (-want +got):\n%s", next[0], diff)
	}
}

func TestAnUndecodableBatchHoldsItsPartitionAlone(t *testing.T) {
	t.Parallel()
	w := newFakeEnv(t)
	refusals := w.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: w.dlq, Err: kerr.TopicAuthorizationFailed, Count: -1})
	w.send(t, value("0"), value("1"), value("2"), &kgo.Record{Partition: 1, Value: []byte("beside")})
	bad := storedBatch{next: 2, bytes: encodeBatch(1, corruptions["a wrong checksum"], "1")}
	w.respondToFetch(w.topic, append(append(batchesOf(0, "0"), bad), batchesOf(2, "2")...)...)
	lines := &logBuffer{}
	notes := &notebook{}
	group := runLogging(t, w.groupConfig("readers"), notes, slog.New(slog.NewTextHandler(lines, nil)))
	eventually(t, "the other partition's record", func() bool { return len(notes.values(1)) == 1 })
	eventually(t, "the group not to be ready", func() bool {
		err := group.Ready(t.Context())
		return err != nil && strings.Contains(err.Error(), "partition 0") && strings.Contains(err.Error(), "offset 1")
	})
	wantMetric(t, group, "kafka_consumer_undecodable_batches_total{}", 1)
	if !strings.Contains(lines.String(), `level=WARN msg="what is in the partition cannot be decoded`) {
		t.Errorf("the log says\n%s", lines)
	}
	w.send(t, &kgo.Record{Partition: 1, Value: []byte("beside 2")})
	eventually(t, "the other partition's next record", func() bool { return len(notes.values(1)) == 2 })
	if got := notes.values(0); !slices.Equal(got, []string{"0"}) {
		t.Errorf("before the dead letter was written %q were handled", got)
	}
	refusals.Remove()
	notes.handles(t, "0", "2")
	ready(t, group)
}

// What Kafka refuses for one partition holds that one, and is told at once.
func TestAFetchThatIsRefusedIsSaid(t *testing.T) {
	t.Parallel()
	w := newFakeEnv(t)
	w.send(t, value("0"), &kgo.Record{Partition: 1, Value: []byte("beside")})
	var refusing atomic.Bool
	refusing.Store(true)
	w.fake.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		w.fake.KeepControl()
		asked := request.(*kmsg.FetchRequest)
		if len(asked.Topics) != 1 || asked.Topics[0].Partitions[0].Partition != 0 || !refusing.Load() {
			return nil, nil, false
		}
		answer := asked.ResponseKind().(*kmsg.FetchResponse)
		answered, partition := kmsg.NewFetchResponseTopic(), kmsg.NewFetchResponseTopicPartition()
		answered.Topic, partition.ErrorCode = w.topic, kerr.TopicAuthorizationFailed.Code
		answered.Partitions = append(answered.Partitions, partition)
		answer.Topics = append(answer.Topics, answered)
		return answer, nil, true
	})
	lines := &logBuffer{}
	notes := &notebook{}
	group := runLogging(t, w.groupConfig("readers"), notes, slog.New(slog.NewTextHandler(lines, nil)))
	eventually(t, "the other partition's record", func() bool { return len(notes.values(1)) == 1 })
	eventually(t, "the group not to be ready", func() bool {
		return group.Ready(t.Context()) != nil && metric(t, group, "kafka_consumer_reported_errors_total{}") > 0
	})
	if !strings.Contains(lines.String(), `level=WARN msg="reading the partition fails, holding the partition"`) {
		t.Errorf("the log says\n%s", lines)
	}
	refusing.Store(false)
	notes.handles(t, "0")
	ready(t, group)
}

// The other brokers answer, so the membership says nothing of it.
func TestAPartitionWhoseLeaderStaysAwayIsSaid(t *testing.T) {
	t.Parallel()
	w := newFakeEnv(t)
	w.send(t, value("0"), &kgo.Record{Partition: 1, Value: []byte("beside")})
	fault := w.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: w.topic, Partitions: []int32{0}, Err: kerr.NotLeaderForPartition, Count: -1})
	lines := &logBuffer{}
	notes := &notebook{}
	group := runLogging(t, w.groupConfig("readers"), notes, slog.New(slog.NewTextHandler(lines, nil)))
	eventually(t, "the other partition's record", func() bool { return len(notes.values(1)) == 1 })
	eventually(t, "the group not to be ready", func() bool {
		err := group.Ready(t.Context())
		return err != nil && strings.Contains(err.Error(), "partition 0 cannot be read on")
	})
	if !strings.Contains(lines.String(), `level=WARN msg="reading the partition fails, holding the partition"`) {
		t.Errorf("the log says\n%s", lines)
	}
	fault.Remove()
	notes.handles(t, "0")
	ready(t, group)
}

func TestARecordThatUnpacksTooLargeIsDeadLettered(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) {
		client := w.client(t, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.GzipCompression()), kgo.ProducerBatchMaxBytes(1<<30), kgo.BrokerMaxWriteBytes(1<<30))
		large := make([]byte, 17<<20)
		if err := client.ProduceSync(timeoutContext(t), &kgo.Record{Topic: w.topic, Value: []byte("before")}, &kgo.Record{Topic: w.topic, Value: large}, &kgo.Record{Topic: w.topic, Value: []byte("after")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		notes := &notebook{}
		run(t, w.groupConfig("readers"), notes)
		notes.handles(t, "before", "after")
		w.wantBatchLetter(t, w.read(t, w.dlq, 1)[0], "1", "1")
	})
}

// A header without text has two bytes in a batch and many times that in memory.
func TestABatchOfCountlessHeadersIsDeadLettered(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) {
		client := w.client(t, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.GzipCompression()), kgo.ProducerBatchMaxBytes(1<<30), kgo.BrokerMaxWriteBytes(1<<30), kgo.ManualFlushing())
		w.send(t, value("before"))
		headers := make([]kgo.RecordHeader, 500_000)
		for range 10 {
			client.Produce(timeoutContext(t), &kgo.Record{Topic: w.topic, Headers: headers}, nil)
		}
		if err := client.Flush(timeoutContext(t)); err != nil {
			t.Fatal(err)
		}
		w.send(t, value("after"))
		notes := &notebook{}
		run(t, w.groupConfig("readers"), notes)
		notes.handles(t, "before", "after")
		w.wantBatchLetter(t, w.read(t, w.dlq, 1)[0], "1", "10")
	})
}

// Of a batch that unpacks to much a part is kept at a time.
func TestABatchThatUnpacksToMuchIsHandledInParts(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, w env) {
		client := w.client(t, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.GzipCompression()), kgo.ProducerBatchMaxBytes(1<<30), kgo.BrokerMaxWriteBytes(1<<30), kgo.ManualFlushing())
		for i := range 20 {
			client.Produce(timeoutContext(t), &kgo.Record{Topic: w.topic, Value: fmt.Appendf(make([]byte, 900_000), "%d", i)}, nil)
		}
		if err := client.Flush(timeoutContext(t)); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var offsets []int64
		run(t, w.groupConfig("readers"), handlerFunc(func(_ context.Context, batch []kafka.Record) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			if len(batch) > 6 {
				t.Errorf("%d records of 900 kB at once", len(batch))
			}
			for _, record := range batch {
				offsets = append(offsets, record.Offset)
			}
			return len(batch), nil
		}))
		eventually(t, "all records", func() bool { mu.Lock(); defer mu.Unlock(); return len(offsets) >= 20 })
		mu.Lock()
		defer mu.Unlock()
		for i, offset := range offsets {
			if int64(i) != offset {
				t.Fatalf("handled %v", offsets)
			}
		}
	})
}

func TestALetterThatIsTooLargeGoesWithoutItsContents(t *testing.T) {
	t.Parallel()
	w := newFakeEnv(t)
	refusal := w.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: w.dlq, Err: kerr.MessageTooLarge, Count: 1})
	w.send(t, &kgo.Record{Key: []byte("k"), Value: []byte("poison"), Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("v")}}}, value("1"))
	notes := &notebook{}
	run(t, w.groupConfig("readers"), handlerFunc(func(ctx context.Context, batch []kafka.Record) (int, error) {
		if string(batch[0].Value) == "poison" {
			return 0, kafka.Permanent(errors.New("broken"))
		}
		return notes.Handle(ctx, batch)
	}))
	notes.handles(t, "1")
	if err := refusal.Wait(timeoutContext(t), 1); err != nil {
		t.Fatal(err)
	}
	letter := w.read(t, w.dlq, 1)[0]
	var names []string
	for _, header := range letter.Headers {
		names = append(names, header.Key)
	}
	want := []string{"error", "original-topic", "original-partition", "original-offset", "consumer-group", "attempts", "failed-at", "original-size"}
	if diff := cmp.Diff(want, names); diff != "" || letter.Value != nil || string(letter.Key) != "k" || string(letter.Headers[0].Value) != "broken" {
		t.Errorf("the letter of key %q has the value %q and the headers (-want +got):\n%s", letter.Key, letter.Value, diff)
	}
}

// logBuffer is a log.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logBuffer) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
