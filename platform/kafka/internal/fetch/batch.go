package fetch

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"time"

	"github.com/IBM/sarama"
	"github.com/klauspost/compress/gzip"
	snappy "github.com/klauspost/compress/snappy/xerial"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"example.com/todo/platform/kafka/internal/client"
)

const (
	batchHeaderBytes = 61
	// checksumEnd is where the part of a batch begins that its checksum is of.
	checksumEnd = 21
	// maxSnappyRatio is the most bytes that one stored byte unpacks to.
	maxSnappyRatio = 22
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// batchHeader is the header of a batch of format 2 (Kafka 0.11 and later), as stored.
type batchHeader struct {
	FirstOffset     int64
	Length          int32 // bytes behind this field
	LeaderEpoch     int32
	Format          int8
	Checksum        uint32
	Attributes      int16
	LastOffsetDelta int32
	FirstTime       int64 // in ms
	MaxTime         int64 // in ms
	ProducerID      int64
	ProducerEpoch   int16
	FirstSequence   int32
	Records         int32
}

// size is the bytes of the batch.
func (h batchHeader) size() int64 { return 12 + int64(h.Length) }

// next is the offset after the batch's last one; there need not be a record at each.
func (h batchHeader) next() int64 { return h.FirstOffset + int64(h.LastOffsetDelta) + 1 }

func (h batchHeader) codec() sarama.CompressionCodec {
	return sarama.CompressionCodec(h.Attributes & 0x07)
}
func (h batchHeader) isTransactional() bool { return h.Attributes&0x10 != 0 }
func (h batchHeader) isControl() bool       { return h.Attributes&0x20 != 0 }

// timeOf is when the record was written, or the zero time if it does not say.
func (h batchHeader) timeOf(record encodedRecord) time.Time {
	const appendTime = 0x08 // the broker's time is that of all records
	written := h.FirstTime + record.timeDelta
	if h.Attributes&appendTime != 0 {
		written = h.MaxTime
	}
	if written < 0 {
		return time.Time{}
	}
	return time.UnixMilli(written)
}

// batch is a batch whose checksum is right.
type batch struct {
	batchHeader
	stored []byte // the records, compressed
}

// parseBatch returns the batch at the beginning of the bytes.
func parseBatch(stored []byte) (b batch, err error) {
	if _, err := binary.Decode(stored, binary.BigEndian, &b.batchHeader); err != nil {
		return b, err
	}
	size := b.size()
	switch {
	case b.Format != 2:
		return b, errUnsupportedFormat
	case size < batchHeaderBytes || size > int64(len(stored)):
		return b, errWrongLength
	case crc32.Checksum(stored[checksumEnd:size], castagnoli) != b.Checksum:
		return b, errWrongChecksum
	}
	b.stored = stored[batchHeaderBytes:size]
	return b, nil
}

// read unpacks the batch as a stream, calls visit for each record, and returns how many
// bytes were unpacked. What visit gets is valid until it returns.
func (b batch) read(visit func(encodedRecord) error) (unpacked int64, err error) {
	contents, err := b.decompress()
	if err != nil {
		return 0, err
	}
	defer contents.Close()
	const limit = client.MaxUnpackedBytes + 1
	limited := &io.LimitedReader{R: contents, N: limit}
	err = readRecords(bufio.NewReader(limited), b.Records, visit)
	switch {
	case limited.N == 0:
		err = sarama.ErrDecompressedBatchTooLarge
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		err = errWrongLength
	}
	return limit - limited.N, err
}

func (b batch) decompress() (io.ReadCloser, error) {
	stored := bytes.NewReader(b.stored)
	switch b.codec() {
	case sarama.CompressionNone:
		return io.NopCloser(stored), nil
	case sarama.CompressionGZIP:
		return gzip.NewReader(stored)
	case sarama.CompressionSnappy:
		most := min(maxSnappyRatio*len(b.stored), client.MaxUnpackedBytes)
		unpacked, err := snappy.DecodeCapped(make([]byte, 0, most), b.stored)
		if errors.Is(err, snappy.ErrDstTooSmall) {
			err = sarama.ErrDecompressedBatchTooLarge
		}
		return io.NopCloser(bytes.NewReader(unpacked)), err
	case sarama.CompressionLZ4:
		return io.NopCloser(lz4.NewReader(stored)), nil
	case sarama.CompressionZSTD:
		decoder, err := zstd.NewReader(stored,
			zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(client.MaxUnpackedBytes))
		if err != nil {
			return nil, err
		}
		return decoder.IOReadCloser(), nil
	}
	return nil, errors.ErrUnsupported
}
