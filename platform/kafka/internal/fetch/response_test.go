package fetch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/internal/brokertest"
	"example.com/todo/platform/kafka/internal/client"
)

var events = kafka.TopicPartition{Topic: "events", Partition: 3}

// encodedResponse is a response to fetch, for partition 3 of events, whose last stable
// offset is 1,000.
func encodedResponse(batches []byte) []byte {
	response := make([]byte, 4+4+4+2+4+4)
	response = append(response, 0, 6)
	response = append(response, "events"...)
	response = append(response, 0, 0, 0, 1, 0, 0, 0, 3)
	response = append(response, make([]byte, 2+8)...)
	response = binary.BigEndian.AppendUint64(response, 1_000)
	response = append(response, make([]byte, 8+4+4)...)
	response = binary.BigEndian.AppendUint32(response, uint32(len(batches)))
	response = append(response, batches...)
	binary.BigEndian.PutUint32(response, uint32(len(response)-4))
	return response
}

// decodeBatches decodes a response with the batches.
func decodeBatches(t *testing.T, from int64, batches ...[]byte) (Result, error) {
	t.Helper()
	r := &response{at: events}
	rest, err := r.receive(bytes.NewReader(encodedResponse(bytes.Join(batches, nil))))
	if err != nil || !bytes.Equal(rest, encodedResponse(nil)) {
		t.Fatalf("the rest has %d bytes, %v", len(rest), err)
	}
	return r.decode(from, nil)
}

// withHeaders are records with a key, a value and headers without text.
func withHeaders(records, headers int) []kmsg.Record {
	return slices.Repeat([]kmsg.Record{{Key: []byte("key"), Value: []byte("value"), Headers: make([]kmsg.Header, headers)}}, records)
}

var codecs = map[string]kgo.CompressionCodec{
	"uncompressed": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

func TestDecodeReturnsRecordsOfEachCodecAndTellsNullFromEmpty(t *testing.T) {
	t.Parallel()
	for name, codec := range codecs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			headers := []kmsg.Header{{Key: "trace", Value: []byte("context")}, {Value: []byte("v")}, {Key: "null"}}
			batch := brokertest.EncodeBatch(7, codec,
				kmsg.Record{Key: []byte("below")},
				kmsg.Record{Key: []byte("key"), Value: []byte("value"), Headers: headers, TimestampDelta64: 5},
				kmsg.Record{Key: []byte("null value")},
				kmsg.Record{Key: []byte{}, Value: []byte{}},
			)
			got, err := decodeBatches(t, 8, batch)
			record := kafka.Record{Topic: "events", Partition: 3, Time: time.UnixMilli(0)}
			want := Result{Next: 11, Records: []kafka.Record{record, record, record}}
			for i, records := 0, want.Records; i < len(records); i++ {
				records[i].Offset = int64(8 + i)
			}
			want.Records[0].Key, want.Records[0].Value, want.Records[0].Time = []byte("key"), []byte("value"), time.UnixMilli(5)
			want.Records[0].Headers = []kafka.Header{{Key: "trace", Value: "context"}, {Value: "v"}, {Key: "null"}}
			want.Records[1].Key = []byte("null value")
			want.Records[2].Key, want.Records[2].Value = []byte{}, []byte{}
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestDecodeBoundsTheMemoryOfABatch(t *testing.T) {
	t.Parallel()
	large := slices.Repeat([]kmsg.Record{{Value: make([]byte, 900_000)}}, 80)
	for name, codec := range codecs {
		t.Run(name, func(t *testing.T) {
			few := brokertest.EncodeBatch(0, codec, withHeaders(3, 10)...)
			for what, records := range map[string][]kmsg.Record{"bytes": large, "headers": withHeaders(10, 500_000)} {
				if name == "uncompressed" && what == "bytes" {
					continue // the response itself is too long
				}
				many := brokertest.EncodeBatch(3, codec, records...)
				if got, err := decodeBatches(t, 0, few, many); err != nil || len(got.Records) != 3 || got.Next != 3 {
					t.Errorf("%s: %d records, continuing at %d, %v", what, len(got.Records), got.Next, err)
				}
				_, err := decodeBatches(t, 3, many)
				var bad *UndecodableError
				if !errors.As(err, &bad) || bad.First != 3 || bad.Next != int64(3+len(records)) || bad.Size != int64(len(many)) {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}

// The whole batch is validated before any record of it is handed over.
func TestDecodeReturnsALargeBatchInParts(t *testing.T) {
	t.Parallel()
	records := slices.Repeat([]kmsg.Record{{Value: make([]byte, 900_000)}}, 20)
	batch := brokertest.EncodeBatch(0, kgo.GzipCompression(), records...)
	for from, next := range map[int64]int64{0: 5, 5: 10, 17: 20} {
		if got, err := decodeBatches(t, from, batch); err != nil || got.Next != next || int64(len(got.Records)) != next-from {
			t.Errorf("from %d: %d records, continuing at %d, %v", from, len(got.Records), got.Next, err)
		}
	}
}

// Records that are too large, or of an aborted transaction, take no room in the result.
func TestDecodeBoundsTheUnpackedBytesOfAResponse(t *testing.T) {
	t.Parallel()
	var batches [][]byte
	for first := range int64(4) {
		batches = append(batches, brokertest.EncodeBatch(first, kgo.ZstdCompression(), kmsg.Record{Value: make([]byte, 40<<20)}))
	}
	if got, err := decodeBatches(t, 0, batches...); err != nil || got.Next != 2 {
		t.Errorf("continuing at %d, %v", got.Next, err)
	}
}

func TestDecodeRejectsARecordOfAWrongLength(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(records []byte){
		"a length beyond the batch": func(r []byte) { copy(r, []byte{0xfe, 0x7f}) },
		"a negative length":         func(r []byte) { r[0] |= 1 },
		"a key beyond the record":   func(r []byte) { r[4] = 0x7e },
		"a number without an end":   func(r []byte) { copy(r, bytes.Repeat([]byte{0xff}, 11)) },
		"headers beyond the record": func(r []byte) { r[14] = 0x7e },
		"a header beyond it":        func(r []byte) { r[15] = 0x7e },
		"bytes behind its headers":  func(r []byte) { r[14] = 0x02 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			batch := brokertest.EncodeBatch(0, kgo.NoCompression(), withHeaders(3, 2)...)
			damage(batch[batchHeaderBytes:])
			_, err := decodeBatches(t, 0, brokertest.SetChecksum(batch))
			var bad *UndecodableError
			if !errors.As(err, &bad) || bad.Next != 3 {
				t.Error(err)
			}
		})
	}
}

func TestOnlyThePrefixOfATooLongResponseIsRead(t *testing.T) {
	t.Parallel()
	response, source := &response{at: events}, &countingReader{}
	encoded := encodedResponse(brokertest.EncodeBatch(7, kgo.NoCompression(), kmsg.Record{}))
	binary.BigEndian.PutUint32(encoded, client.MaxResponseBytes+1)
	source.Reader = io.MultiReader(bytes.NewReader(encoded), zeroes{})
	_, err := response.receive(source)
	if !errors.Is(err, errResponseTooLong) || !response.tooLong || source.read > 2*maxResponsePrefix {
		t.Errorf("%v after %d bytes", err, source.read)
	}
	var bad *UndecodableError
	if err := response.undecodableError(0, err); !errors.As(err, &bad) || bad.First != 7 || bad.Next != 8 || bad.Size < 61 {
		t.Error(err)
	}
}

type countingReader struct {
	io.Reader
	read int
}

func (c *countingReader) Read(into []byte) (int, error) {
	count, err := c.Reader.Read(into)
	c.read += count
	return count, err
}

type zeroes struct{}

func (zeroes) Read(into []byte) (int, error) { clear(into); return len(into), nil }

func TestDecodeSkipsAbortedRecords(t *testing.T) {
	t.Parallel()
	transactional := func(first int64, key string, attributes byte) []byte {
		batch := brokertest.EncodeBatch(first, kgo.NoCompression(), kmsg.Record{Key: []byte(key)})
		batch[22] |= attributes
		return brokertest.SetChecksum(batch)
	}
	r := &response{at: events, batches: bytes.Join([][]byte{
		transactional(0, "aborted", 0x10), transactional(1, "\x00\x00\x00\x00", 0x30), transactional(2, "committed", 0x10),
	}, nil)}
	got, err := r.decode(0, []*sarama.AbortedTransaction{{ProducerID: -1}})
	if err != nil || got.Next != 3 || len(got.Records) != 1 || string(got.Records[0].Key) != "committed" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestDecodeReturnsTheBrokersTimeWhereTheTopicHasIt(t *testing.T) {
	t.Parallel()
	batch := brokertest.EncodeBatch(0, kgo.NoCompression(), kmsg.Record{TimestampDelta64: 5})
	batch[22] |= 0x08
	binary.BigEndian.PutUint64(batch[35:], 1_000) // its greatest time
	got, err := decodeBatches(t, 0, brokertest.SetChecksum(batch))
	if err != nil || !got.Records[0].Time.Equal(time.UnixMilli(1_000)) {
		t.Errorf("%+v, %v", got, err)
	}
}
