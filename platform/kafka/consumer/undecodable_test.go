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
	"example.com/todo/platform/kafka/reader"
	"example.com/todo/platform/testenv"
)

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

// encode returns a batch of records of the values, which begins at the offset.
func encode(first int64, values ...string) []byte {
	var records []kmsg.Record
	for _, value := range values {
		records = append(records, kmsg.Record{Value: []byte(value)})
	}
	return brokertest.EncodeBatch(first, kgo.NoCompression(), records...)
}

// batchesOf returns a batch of each value, from the offset on.
func batchesOf(first int64, values ...string) (batches []brokertest.StoredBatch) {
	for i, value := range values {
		offset := first + int64(i)
		batches = append(batches, brokertest.StoredBatch{Next: offset + 1, Bytes: encode(offset, value)})
	}
	return batches
}

// scan returns partition 0's offsets and undecodable records, and where a later scan
// continues.
func scan(t *testing.T, w brokertest.Env) (offsets []int64, undecodable []kafka.Record, next int64) {
	t.Helper()
	end, err := reader.Scan(brokertest.TimeoutContext(t), w.Config(), w.Topic, nil, func(_ context.Context, batch []kafka.Record) error {
		for _, record := range batch {
			if record.Partition == 0 {
				offsets = append(offsets, record.Offset)
			}
			if record.Undecodable != nil {
				undecodable = append(undecodable, record)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return offsets, undecodable, end[0]
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
				w.SendOversizedBatch(t, codec)
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

				offsets, undecodable, next := scan(t, w)
				if diff := cmp.Diff([]int64{0, 1, 81, 82}, offsets); diff != "" || next != 83 {
					t.Errorf("the scan goes on at %d (-want +got):\n%s", next, diff)
				}
				if len(undecodable) != 1 || undecodable[0].Offset != 1 {
					t.Errorf("undecodable: %v", undecodable)
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
			batches = append(batches, brokertest.StoredBatch{Next: 4, Bytes: damage(encode(2, "2", "3"))})
			batches = append(batches, batchesOf(4, "4")...)
			batches = append(batches, brokertest.StoredBatch{Next: 7, Bytes: damage(encode(5, "5", "6"))})
			w.RespondToFetch(append(batches, batchesOf(7, "7")...)...)
			notes := &notebook{}
			group := run(t, groupConfig(w, "readers"), notes)
			notes.handles(t, "0", "1", "4", "7")
			letters := w.Read(t, w.DLQ, 2)
			slices.SortFunc(letters, func(a, b *kgo.Record) int { return bytes.Compare(a.Headers[3].Value, b.Headers[3].Value) })
			wantBatchLetter(t, w, letters[0], "2", "3")
			wantBatchLetter(t, w, letters[1], "5", "6")
			wantMetric(t, group, "kafka_consumer_undecodable_batches_total{}", 2)
			ready(t, group)

			offsets, undecodable, next := scan(t, w)
			if diff := cmp.Diff([]int64{0, 1, 2, 4, 5, 7}, offsets); diff != "" || next != 8 {
				t.Fatalf("the scan goes on at %d (-want +got):\n%s", next, diff)
			}
			if len(undecodable) != 2 || !strings.Contains(undecodable[0].Undecodable.Error(), "offsets 2 to 3") {
				t.Errorf("undecodable: %v", undecodable)
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
	batches := append(batchesOf(0, "0"), brokertest.StoredBatch{Next: 3, Bytes: far(encode(1, "1", "2"))})
	w.RespondToFetch(append(batches, batchesOf(3, "3")...)...)
	notes := &notebook{}
	run(t, groupConfig(w, "readers"), notes)
	notes.handles(t, "0", "3")
	letters := w.Read(t, w.DLQ, 2)
	slices.SortFunc(letters, func(a, b *kgo.Record) int { return bytes.Compare(a.Headers[3].Value, b.Headers[3].Value) })
	wantBatchLetter(t, w, letters[0], "1", "1")
	wantBatchLetter(t, w, letters[1], "2", "2")

	offsets, _, next := scan(t, w)
	if diff := cmp.Diff([]int64{0, 1, 2, 3}, offsets); diff != "" || next != 4 {
		t.Fatalf("the scan goes on at %d (-want +got):\n%s", next, diff)
	}
}

func TestAnUndecodableBatchHoldsItsPartitionAlone(t *testing.T) {
	t.Parallel()
	w := brokertest.NewFakeEnv(t)
	refusals := w.Fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: w.DLQ, Err: kerr.TopicAuthorizationFailed, Count: -1})
	w.Send(t, brokertest.Value("0"), brokertest.Value("1"), brokertest.Value("2"), &kgo.Record{Partition: 1, Value: []byte("beside")})
	bad := brokertest.StoredBatch{Next: 2, Bytes: corruptions["a wrong checksum"](encode(1, "1"))}
	w.RespondToFetch(append(append(batchesOf(0, "0"), bad), batchesOf(2, "2")...)...)
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
	w.OnFetch(func(kmsg.FetchRequestTopicPartition) *kmsg.FetchResponseTopicPartition {
		if !refusing.Load() {
			return nil
		}
		refusal := kmsg.NewFetchResponseTopicPartition()
		refusal.ErrorCode = kerr.TopicAuthorizationFailed.Code
		return &refusal
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
		w.SendBatch(t, kgo.GzipCompression(), &kgo.Record{Topic: w.Topic, Value: []byte("before")},
			&kgo.Record{Topic: w.Topic, Value: make([]byte, 17<<20)}, &kgo.Record{Topic: w.Topic, Value: []byte("after")})
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
		records := make([]*kgo.Record, 10)
		for i := range records {
			records[i] = &kgo.Record{Topic: w.Topic, Headers: headers}
		}
		w.SendBatch(t, kgo.GzipCompression(), records...)
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
		records := make([]*kgo.Record, 20)
		for i := range records {
			records[i] = &kgo.Record{Topic: w.Topic, Value: fmt.Appendf(make([]byte, 900_000), "%d", i)}
		}
		w.SendBatch(t, kgo.GzipCompression(), records...)
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
