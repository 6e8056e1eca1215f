package consumer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/consumer"
	"example.com/todo/platform/kafka/internal/brokertest"
	"example.com/todo/platform/kafka/kafkatest/onebatch"
	"example.com/todo/platform/testenv"
)

// sendOversizedBatch writes one batch of 80 records to partition 0, which unpacks to 72 MB.
func sendOversizedBatch(t *testing.T, w brokertest.Env, topic string, codec kgo.CompressionCodec) {
	t.Helper()
	value := bytes.Repeat([]byte("b"), 900_000)
	sendBatch(t, w, codec, 80, func(int) *kgo.Record { return &kgo.Record{Topic: topic, Value: value} })
}

// sendBatch writes count records as one batch.
func sendBatch(t *testing.T, w brokertest.Env, codec kgo.CompressionCodec, count int, record func(i int) *kgo.Record) {
	t.Helper()
	records := make([]*kgo.Record, count)
	for i := range records {
		records[i] = record(i)
	}
	if err := onebatch.Send(brokertest.TimeoutContext(t), []kgo.Opt{kgo.SeedBrokers(w.Brokers...)}, codec, records...); err != nil {
		t.Fatal(err)
	}
}

// corruptions make a batch undecodable.
var corruptions = map[string]func([]byte) []byte{
	"a wrong checksum":          func(b []byte) []byte { b[len(b)-2] ^= 1; return b },
	"an unknown codec":          func(b []byte) []byte { b[22] |= 7; return brokertest.SetChecksum(b) },
	"invalid gzip":              func(b []byte) []byte { b[22] |= 1; return brokertest.SetChecksum(b) },
	"invalid zstd":              func(b []byte) []byte { b[22] |= 4; return brokertest.SetChecksum(b) },
	"a future format":           func(b []byte) []byte { b[16] = 3; return b },
	"an old format":             func(b []byte) []byte { b[16] = 1; return b },
	"a negative format":         func(b []byte) []byte { b[16] = 0xff; return b },
	"fewer bytes than it says":  func(b []byte) []byte { return b[:len(b)-3] },
	"more records than it has":  func(b []byte) []byte { b[60]++; return brokertest.SetChecksum(b) },
	"fewer records than it has": func(b []byte) []byte { b[60]--; return brokertest.SetChecksum(b) },
	"countless records":         func(b []byte) []byte { b[57] = 0x7f; return brokertest.SetChecksum(b) },
	"negative records":          func(b []byte) []byte { b[57] = 0xff; return brokertest.SetChecksum(b) },
	"a zero length":             func(b []byte) []byte { copy(b[8:], []byte{0, 0, 0, 0}); return b },
	"a negative length":         func(b []byte) []byte { b[8] = 0xff; return b },
}

// batchesOf returns a batch of each value, from the offset on.
func batchesOf(first int64, values ...string) []brokertest.StoredBatch {
	var batches []brokertest.StoredBatch
	for i, value := range values {
		batches = append(batches, brokertest.StoredBatch{Next: first + int64(i) + 1, Bytes: brokertest.EncodeBatch(first+int64(i), nil, value)})
	}
	return batches
}

// wantBatchLetter checks the dead letter of a batch of partition 0.
func wantBatchLetter(t *testing.T, w brokertest.Env, letter *kgo.Record, first, last string) {
	t.Helper()
	headers := headersOf(letter)
	if letter.Value != nil || letter.Key != nil || headers["original-topic"] != w.Topic || headers["original-partition"] != "0" ||
		headers["original-offset"] != first || headers["original-last-offset"] != last || len(headers["original-size"]) < 2 ||
		headers["error"] == "" || headers["attempts"] != "1" || headers["failed-at"] == "" {
		t.Errorf("the letter has the key %q, the value %.20q, the headers %v", letter.Key, letter.Value, headers)
	}
}

func TestGroupDeadLettersABatchThatUnpacksTooLarge(t *testing.T) {
	t.Parallel()
	for name, codec := range map[string]kgo.CompressionCodec{
		"gzip": kgo.GzipCompression(), "zstd": kgo.ZstdCompression(),
	} {
		t.Run(name, func(t *testing.T) { // one after another: each needs much memory
			brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
				w.Send(t, brokertest.Value("before"))
				sendOversizedBatch(t, w, w.Topic, codec)
				w.Send(t, brokertest.Value("after"), &kgo.Record{Partition: 1, Value: []byte("beside")})
				notes := &notebook{}
				group := run(t, groupConfig(w, "readers"), notes)
				notes.handles(t, "before", "after")
				wantBatchLetter(t, w, w.Read(t, w.DLQ, 1)[0], "1", "80")
				wantMetric(t, group, "kafka_consumer_undecodable_batches_total{}", 1)
				wantMetric(t, group, `kafka_consumer_records_total{outcome="dead_lettered"}`, 1)
				wantLag(t, group, 0, 0, 0)
				ready(t, group)
				group.stop()
				again := &notebook{}
				run(t, groupConfig(w, "readers"), again)
				w.Send(t, brokertest.Value("later"))
				again.handles(t, "later")

				seen, next := w.Scan(t, nil)
				var offsets []int64
				for _, record := range seen.Records[0] {
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

func TestGroupDeadLettersABatchThatCannotBeDecoded(t *testing.T) {
	t.Parallel()
	for name, damage := range corruptions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := brokertest.NewFakeEnv(t)
			w.Send(t, brokertest.Value("0"), brokertest.Value("1"), brokertest.Value("2"), brokertest.Value("3"), brokertest.Value("4"), brokertest.Value("5"), brokertest.Value("6"), brokertest.Value("7"))
			batches := batchesOf(0, "0", "1")
			batches = append(batches, brokertest.StoredBatch{Next: 4, Bytes: brokertest.EncodeBatch(2, damage, "2", "3")})
			batches = append(batches, batchesOf(4, "4")...)
			batches = append(batches, brokertest.StoredBatch{Next: 7, Bytes: brokertest.EncodeBatch(5, damage, "5", "6")})
			w.RespondToFetch(w.Topic, append(batches, batchesOf(7, "7")...)...)
			notes := &notebook{}
			group := run(t, groupConfig(w, "readers"), notes)
			notes.handles(t, "0", "1", "4", "7")
			letters := w.Read(t, w.DLQ, 2)
			slices.SortFunc(letters, func(a, b *kgo.Record) int { return bytes.Compare(a.Headers[3].Value, b.Headers[3].Value) })
			wantBatchLetter(t, w, letters[0], "2", "3")
			wantBatchLetter(t, w, letters[1], "5", "6")
			wantMetric(t, group, "kafka_consumer_undecodable_batches_total{}", 2)
			ready(t, group)

			seen, next := w.Scan(t, nil)
			if diff := cmp.Diff([]int64{0, 1, 2, 4, 5, 7}, seen.Offsets()[0]); diff != "" || next[0] != 8 {
				t.Fatalf("the scan goes on at %d (-want +got):\n%s", next[0], diff)
			}
			if bad := seen.Records[0][2].Undecodable; bad == nil || !strings.Contains(bad.Error(), "offsets 2 to 3") {
				t.Errorf("the scan says %v", bad)
			}
		})
	}
}

// With a position beyond the log's end the group would begin again at the log's start.
func TestGroupSkipsABatchWhoseHeaderEndsBeyondTheLogOffsetByOffset(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	w.Send(t, brokertest.Value("0"), brokertest.Value("1"), brokertest.Value("2"), brokertest.Value("3"))
	far := func(b []byte) []byte { b[23] = 0x7f; return b } // its last offset; the checksum is wrong then
	batches := append(batchesOf(0, "0"), brokertest.StoredBatch{Next: 3, Bytes: brokertest.EncodeBatch(1, far, "1", "2")})
	w.RespondToFetch(w.Topic, append(batches, batchesOf(3, "3")...)...)
	notes := &notebook{}
	run(t, groupConfig(w, "readers"), notes)
	notes.handles(t, "0", "3")
	letters := w.Read(t, w.DLQ, 2)
	slices.SortFunc(letters, func(a, b *kgo.Record) int { return bytes.Compare(a.Headers[3].Value, b.Headers[3].Value) })
	wantBatchLetter(t, w, letters[0], "1", "1")
	wantBatchLetter(t, w, letters[1], "2", "2")

	seen, next := w.Scan(t, nil)
	if diff := cmp.Diff([]int64{0, 1, 2, 3}, seen.Offsets()[0]); diff != "" || next[0] != 4 {
		t.Fatalf("the scan goes on at %d (-want +got):\n%s", next[0], diff)
	}
}

func TestAnUndecodableBatchHoldsItsPartitionAlone(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	refusals := w.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: w.DLQ, Err: kerr.TopicAuthorizationFailed, Count: -1})
	w.Send(t, brokertest.Value("0"), brokertest.Value("1"), brokertest.Value("2"), &kgo.Record{Partition: 1, Value: []byte("beside")})
	bad := brokertest.StoredBatch{Next: 2, Bytes: brokertest.EncodeBatch(1, corruptions["a wrong checksum"], "1")}
	w.RespondToFetch(w.Topic, append(append(batchesOf(0, "0"), bad), batchesOf(2, "2")...)...)
	lines := &logBuffer{}
	notes := &notebook{}
	group := runLogging(t, groupConfig(w, "readers"), notes, slog.New(slog.NewTextHandler(lines, nil)))
	testenv.Eventually(t, "the other partition's record", func() bool { return len(notes.values(1)) == 1 })
	testenv.Eventually(t, "the group not to be ready", func() bool {
		err := group.Ready(t.Context())
		return err != nil && strings.Contains(err.Error(), "partition 0") && strings.Contains(err.Error(), "offset 1")
	})
	wantMetric(t, group, "kafka_consumer_undecodable_batches_total{}", 1)
	if !strings.Contains(lines.String(), `level=WARN msg="kafka consumer: a batch cannot be decoded`) {
		t.Errorf("the log says\n%s", lines)
	}
	w.Send(t, &kgo.Record{Partition: 1, Value: []byte("beside 2")})
	testenv.Eventually(t, "the other partition's next record", func() bool { return len(notes.values(1)) == 2 })
	if got := notes.values(0); !slices.Equal(got, []string{"0"}) {
		t.Errorf("before the dead letter was written %q were handled", got)
	}
	refusals.Remove()
	notes.handles(t, "0", "2")
	ready(t, group)
}

func TestGroupIsNotReadyWhenAFetchIsRefused(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	w.Send(t, brokertest.Value("0"), &kgo.Record{Partition: 1, Value: []byte("beside")})
	var refusing atomic.Bool
	refusing.Store(true)
	w.Fake.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		w.Fake.KeepControl()
		asked := request.(*kmsg.FetchRequest)
		if len(asked.Topics) != 1 || asked.Topics[0].Partitions[0].Partition != 0 || !refusing.Load() {
			return nil, nil, false
		}
		answer := asked.ResponseKind().(*kmsg.FetchResponse)
		answered, partition := kmsg.NewFetchResponseTopic(), kmsg.NewFetchResponseTopicPartition()
		answered.Topic, partition.ErrorCode = w.Topic, kerr.TopicAuthorizationFailed.Code
		answered.Partitions = append(answered.Partitions, partition)
		answer.Topics = append(answer.Topics, answered)
		return answer, nil, true
	})
	lines := &logBuffer{}
	notes := &notebook{}
	group := runLogging(t, groupConfig(w, "readers"), notes, slog.New(slog.NewTextHandler(lines, nil)))
	testenv.Eventually(t, "the other partition's record", func() bool { return len(notes.values(1)) == 1 })
	testenv.Eventually(t, "the group not to be ready", func() bool {
		return group.Ready(t.Context()) != nil && metric(t, group, "kafka_consumer_reported_errors_total{}") > 0
	})
	if !strings.Contains(lines.String(), `level=WARN msg="kafka consumer: reading the partition failed, holding the partition and retrying"`) {
		t.Errorf("the log says\n%s", lines)
	}
	refusing.Store(false)
	notes.handles(t, "0")
	ready(t, group)
}

// The other brokers respond, so the membership lasts.
func TestGroupIsNotReadyWhenAPartitionsLeaderStaysUnavailable(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	w.Send(t, brokertest.Value("0"), &kgo.Record{Partition: 1, Value: []byte("beside")})
	fault := w.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: w.Topic, Partitions: []int32{0}, Err: kerr.NotLeaderForPartition, Count: -1})
	lines := &logBuffer{}
	notes := &notebook{}
	group := runLogging(t, groupConfig(w, "readers"), notes, slog.New(slog.NewTextHandler(lines, nil)))
	testenv.Eventually(t, "the other partition's record", func() bool { return len(notes.values(1)) == 1 })
	testenv.Eventually(t, "the group not to be ready", func() bool {
		err := group.Ready(t.Context())
		return err != nil && strings.Contains(err.Error(), "partition 0 cannot be read")
	})
	if !strings.Contains(lines.String(), `level=WARN msg="kafka consumer: reading the partition failed, holding the partition and retrying"`) {
		t.Errorf("the log says\n%s", lines)
	}
	fault.Remove()
	notes.handles(t, "0")
	ready(t, group)
}

func TestGroupDeadLettersARecordThatUnpacksTooLarge(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		client := w.Client(t, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.GzipCompression()), kgo.ProducerBatchMaxBytes(1<<30), kgo.BrokerMaxWriteBytes(1<<30))
		large := make([]byte, 17<<20)
		if err := client.ProduceSync(brokertest.TimeoutContext(t), &kgo.Record{Topic: w.Topic, Value: []byte("before")}, &kgo.Record{Topic: w.Topic, Value: large}, &kgo.Record{Topic: w.Topic, Value: []byte("after")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		notes := &notebook{}
		run(t, groupConfig(w, "readers"), notes)
		notes.handles(t, "before", "after")
		wantBatchLetter(t, w, w.Read(t, w.DLQ, 1)[0], "1", "1")
	})
}

func TestGroupDeadLettersABatchOfCountlessHeaders(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		w.Send(t, brokertest.Value("before"))
		headers := make([]kgo.RecordHeader, 500_000)
		sendBatch(t, w, kgo.GzipCompression(), 10, func(int) *kgo.Record { return &kgo.Record{Topic: w.Topic, Headers: headers} })
		w.Send(t, brokertest.Value("after"))
		notes := &notebook{}
		run(t, groupConfig(w, "readers"), notes)
		notes.handles(t, "before", "after")
		wantBatchLetter(t, w, w.Read(t, w.DLQ, 1)[0], "1", "10")
	})
}

func TestGroupHandlesALargeBatchInParts(t *testing.T) {
	t.Parallel()
	brokertest.OnEachBroker(t, func(t *testing.T, w brokertest.Env) {
		sendBatch(t, w, kgo.GzipCompression(), 20, func(i int) *kgo.Record {
			return &kgo.Record{Topic: w.Topic, Value: fmt.Appendf(make([]byte, 900_000), "%d", i)}
		})
		var mu sync.Mutex
		var offsets []int64
		run(t, groupConfig(w, "readers"), handlerFunc(func(_ context.Context, batch []kafka.Record) (int, error) {
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
		testenv.Eventually(t, "all records", func() bool { mu.Lock(); defer mu.Unlock(); return len(offsets) >= 20 })
		mu.Lock()
		defer mu.Unlock()
		for i, offset := range offsets {
			if int64(i) != offset {
				t.Fatalf("handled %v", offsets)
			}
		}
	})
}

func TestADeadLetterThatIsTooLargeIsSentWithoutContents(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	refusal := w.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: w.DLQ, Err: kerr.MessageTooLarge, Count: 1})
	w.Send(t, &kgo.Record{Key: []byte("k"), Value: []byte("poison"), Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("v")}}}, brokertest.Value("1"))
	notes := &notebook{}
	run(t, groupConfig(w, "readers"), handlerFunc(func(ctx context.Context, batch []kafka.Record) (int, error) {
		if string(batch[0].Value) == "poison" {
			return 0, consumer.Permanent(errors.New("broken"))
		}
		return notes.Handle(ctx, batch)
	}))
	notes.handles(t, "1")
	if err := refusal.Wait(brokertest.TimeoutContext(t), 1); err != nil {
		t.Fatal(err)
	}
	letter := w.Read(t, w.DLQ, 1)[0]
	var names []string
	for _, header := range letter.Headers {
		names = append(names, header.Key)
	}
	want := []string{"error", "original-topic", "original-partition", "original-offset", "consumer-group", "attempts", "failed-at", "original-size"}
	if diff := cmp.Diff(want, names); diff != "" || letter.Value != nil || string(letter.Key) != "k" || string(letter.Headers[0].Value) != "broken" {
		t.Errorf("the letter of key %q has the value %q and the headers (-want +got):\n%s", letter.Key, letter.Value, diff)
	}
}

// logBuffer is a log in memory.
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
