package fetch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"reflect"
	"testing"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"example.com/todo/platform/kafka"
)

// withHeaders is a batch of records with a key, a value and headers without text.
func withHeaders(t *testing.T, first int64, codec kgo.CompressionCodec, records, headers int) []byte {
	t.Helper()
	batch := kmsg.RecordBatch{
		FirstOffset: first, LastOffsetDelta: int32(records - 1), Magic: 2, NumRecords: int32(records),
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
	}
	record := kmsg.Record{Key: []byte("key"), Value: []byte("value"), Headers: make([]kmsg.Header, headers)}
	for i := range records {
		record.OffsetDelta, record.Length = int32(i), 0
		record.Length = int32(len(record.AppendTo(nil)) - 1)
		batch.Records = record.AppendTo(batch.Records)
	}
	compressor, err := kgo.DefaultCompressor(codec)
	if err != nil {
		t.Fatal(err)
	}
	if compressor != nil {
		compressed, used := compressor.Compress(&bytes.Buffer{}, batch.Records)
		batch.Records, batch.Attributes = compressed, int16(used)
	}
	batch.Length = int32(len(batch.AppendTo(nil)) - 12)
	made := batch.AppendTo(nil)
	binary.BigEndian.PutUint32(made[17:], crc32.Checksum(made[21:], castagnoli))
	return made
}

var codecs = map[string]kgo.CompressionCodec{
	"uncompressed": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

func TestMemoryOverheadCountsRecordsAndHeaders(t *testing.T) {
	t.Parallel()
	if record := reflect.TypeFor[sarama.Record]().Size() + 8; record != recordMemory {
		t.Errorf("a record needs %d bytes", record)
	}
	if header := reflect.TypeFor[sarama.RecordHeader]().Size() + 8; header != headerMemory {
		t.Errorf("a header needs %d bytes", header)
	}
	for name, codec := range codecs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const want = 70*recordMemory + 70*1_000*headerMemory
			batch := batchHeader(withHeaders(t, 0, codec, 70, 1_000))
			if got := batch.memoryOverhead(want); got != want {
				t.Errorf("%d bytes, want %d", got, want)
			}
			if got := batch.memoryOverhead(want - 1); got < want {
				t.Errorf("%d bytes are said to be enough, want %d", got, want)
			}
			if got := batch.memoryOverhead(1 << 40); got < want {
				t.Errorf("at most %d bytes, want %d at least", got, want)
			}
		})
	}
}

func TestInspectorBoundsTheMemoryOverheadOfAResponse(t *testing.T) {
	t.Parallel()
	for name, codec := range codecs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			few, many := withHeaders(t, 0, codec, 3, 10), withHeaders(t, 3, codec, 10, 500_000)
			i := &responseInspector{at: kafka.TopicPartition{Topic: "events", Partition: 3}}
			left, err := i.readResponse(bytes.NewReader(encodedResponse(append(few, many...))).Read)
			i.release()
			if err != nil || !bytes.Equal(left, encodedResponse(few)) || !i.truncated || i.next != 3 {
				t.Errorf("%v, %d bytes are left, want %d", err, len(left), len(encodedResponse(few)))
			}
			i = &responseInspector{at: kafka.TopicPartition{Topic: "events", Partition: 3}}
			_, err = i.readResponse(bytes.NewReader(encodedResponse(many)).Read)
			i.release()
			if !errors.Is(err, errOverheadTooLarge) || i.firstOffset != 3 || i.firstNext != 13 || i.firstSize != int64(len(many)) {
				t.Errorf("%v about the batch at %d to %d of %d bytes", err, i.firstOffset, i.firstNext, i.firstSize)
			}
		})
	}
}

func TestScannerStopsAtARecordOfAWrongLength(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(records []byte){
		"a length beyond the batch": func(r []byte) { copy(r, []byte{0xfe, 0x7f}) },
		"a negative length":         func(r []byte) { r[0] |= 1 },
		"a key beyond the batch":    func(r []byte) { r[4] = 0x7e },
		"a number without an end":   func(r []byte) { copy(r, bytes.Repeat([]byte{0xff}, 11)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			batch := withHeaders(t, 0, kgo.NoCompression(), 3, 2)
			damage(batch[batchHeaderBytes:])
			const room = 3*recordMemory + 6*headerMemory
			if got := batchHeader(batch).memoryOverhead(room); got > room {
				t.Errorf("%d bytes", got)
			}
		})
	}
}
