package fetch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"testing"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/internal/client"
)

// encodedBatch is a batch of that codec and size, of one record by what it says.
func encodedBatch(first int64, codec byte, size int) []byte {
	batch := make([]byte, size)
	binary.BigEndian.PutUint64(batch, uint64(first))
	binary.BigEndian.PutUint32(batch[8:], uint32(size-12))
	batch[16], batch[22], batch[60] = 2, codec, 1
	binary.BigEndian.PutUint32(batch[17:], crc32.Checksum(batch[21:], castagnoli))
	return batch
}

// encodedResponse is a response to fetch, for partition 3 of events.
func encodedResponse(records []byte) []byte {
	response := make([]byte, 4+4+4+2+4+4)
	response = append(response, 0, 6)
	response = append(response, "events"...)
	response = append(response, 0, 0, 0, 1, 0, 0, 0, 3)
	response = append(response, make([]byte, 2+8+8+8+4+4)...)
	response = binary.BigEndian.AppendUint32(response, uint32(len(records)))
	response = append(response, records...)
	binary.BigEndian.PutUint32(response, uint32(len(response)-4))
	return response
}

func TestInspectorBoundsTheUnpackedBytesOfAResponse(t *testing.T) {
	t.Parallel()
	const none, gzip, snappy, lz4, zstd, unknown = 0, 1, 2, 3, 4, 5
	for name, test := range map[string]struct {
		codec byte
		size  int
		want  int // batches that are left of 100
	}{
		"uncompressed":           {none, 10_000, 100},
		"gzip":                   {gzip, 1_000, 65},
		"gzip of many bytes":     {gzip, 70_000, 1},
		"snappy":                 {snappy, 10_000, 100},
		"lz4":                    {lz4, 10_000, 26},
		"zstd":                   {zstd, 1_000, 2},
		"zstd of a few thousand": {zstd, 3_000, 1},
		"an unknown codec":       {unknown, 100, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var records []byte
			for i := range 100 {
				records = append(records, encodedBatch(int64(i), test.codec, test.size)...)
			}
			i := &responseInspector{at: kafka.TopicPartition{Topic: "events", Partition: 3}}
			left, err := i.readResponse(bytes.NewReader(encodedResponse(records)).Read)
			defer i.release()
			if err != nil || !bytes.Equal(left, encodedResponse(records[:test.want*test.size])) {
				t.Errorf("%v, %d bytes are left, want %d batches of %d", err, len(left), test.want, test.size)
			}
			if i.next != int64(test.want) || i.truncated != (test.want < 100) || i.keptBatches != test.want || i.firstSize != int64(test.size) {
				t.Errorf("next %d, full %d, cut %v, size %d", i.next, i.keptBatches, i.truncated, i.firstSize)
			}
		})
	}
}

// A response may arrive after its fetch has failed.
func TestInspectorReleasesASlotThatComesTooLate(t *testing.T) {
	t.Parallel()
	for range 2 {
		late := &responseInspector{}
		late.release()
		late.acquireSlot()
	}
}

func TestInspectorReadsOnlyThePrefixOfATooLongResponse(t *testing.T) {
	t.Parallel()
	response := encodedResponse(encodedBatch(7, 0, 1_000))
	binary.BigEndian.PutUint32(response, client.MaxResponseBytes+1)
	binary.BigEndian.PutUint32(response[len(response)-1_000+8:], client.MaxResponseBytes)
	source := io.MultiReader(bytes.NewReader(response), zeroes{})
	read := 0
	i := &responseInspector{at: kafka.TopicPartition{Topic: "events", Partition: 3}}
	_, err := i.readResponse(func(into []byte) (int, error) {
		count, err := source.Read(into)
		read += count
		return count, err
	})
	i.release()
	if !errors.Is(err, errResponseTooLong) || i.firstOffset != 7 || i.firstNext != 8 || i.firstSize != client.MaxResponseBytes+12 || read > 2*maxResponsePrefix {
		t.Errorf("%v after %d bytes; the batch is at %d to %d and has %d bytes", err, read, i.firstOffset, i.firstNext, i.firstSize)
	}
}

type zeroes struct{}

func (zeroes) Read(into []byte) (int, error) { clear(into); return len(into), nil }
