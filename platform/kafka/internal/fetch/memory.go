package fetch

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/IBM/sarama"
	"github.com/klauspost/compress/gzip"
	snappy "github.com/klauspost/compress/snappy/xerial"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"example.com/todo/platform/kafka/internal/client"
)

// Sarama's memory for a record and for a header without their contents: the struct and
// a pointer to it.
const (
	recordMemory = 112 + 8
	headerMemory = 48 + 8
)

// maxMemoryOverhead bounds that memory for one response. The shortest header has two
// bytes in a batch, so a batch of MaxUnpackedBytes could need 1.8 GB.
const maxMemoryOverhead = 256 << 20

var errOverheadTooLarge = fmt.Errorf("its records and headers need more than %d MiB without their contents", maxMemoryOverhead>>20)

// memoryOverhead is Sarama's memory for the batch's records and headers without their
// contents: an upper bound if that is within room. Otherwise it is the memory itself,
// or any number above room.
func (h batchHeader) memoryOverhead(room int64) int64 {
	records := max(int64(h.records()), 0)
	needed := records * recordMemory
	// The bound costs nothing. Only if it exceeds the room are the headers counted.
	if atMost := needed + h.maxUnpackedSize()/2*headerMemory; atMost <= room {
		return atMost
	}
	contents, err := h.decompress()
	if err != nil {
		return needed // Sarama fails as well
	}
	defer contents.Close()
	scanner := recordScanner{bytes: bufio.NewReader(io.LimitReader(contents, client.MaxUnpackedBytes))}
	for ; records > 0 && needed <= room && scanner.err == nil; records-- {
		needed += min(max(scanner.nextHeaderCount(), 0), client.MaxUnpackedBytes) * headerMemory
	}
	return needed
}

// decompress returns the batch's records as they were before compression.
func (h batchHeader) decompress() (io.ReadCloser, error) {
	stored := h[batchHeaderBytes:h.size()]
	switch sarama.CompressionCodec(h.codec()) {
	case sarama.CompressionNone:
		return io.NopCloser(bytes.NewReader(stored)), nil
	case sarama.CompressionGZIP:
		return gzip.NewReader(bytes.NewReader(stored))
	case sarama.CompressionSnappy:
		unpacked, err := snappy.DecodeCapped(make([]byte, 0, h.maxUnpackedSize()), stored)
		return io.NopCloser(bytes.NewReader(unpacked)), err
	case sarama.CompressionLZ4:
		return io.NopCloser(lz4.NewReader(bytes.NewReader(stored))), nil
	case sarama.CompressionZSTD:
		decoder, err := zstd.NewReader(bytes.NewReader(stored),
			zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(client.MaxUnpackedBytes))
		if err != nil {
			return nil, err
		}
		return decoder.IOReadCloser(), nil
	}
	return nil, errors.ErrUnsupported
}

// saramaMemory is how many bytes Sarama needs for the block's records.
func saramaMemory(block *sarama.FetchResponseBlock) (bytes int64) {
	for _, set := range block.RecordsSet {
		for _, record := range set.RecordBatch.Records {
			bytes += recordMemory + int64(len(record.Key)+len(record.Value)+len(record.Headers)*headerMemory)
		}
	}
	return bytes
}

// recordScanner steps from record to record and keeps none. After an error, or a record
// of a wrong length, its counts mean nothing; Sarama stops there as well.
type recordScanner struct {
	bytes *bufio.Reader
	read  int64
	err   error
}

// nextHeaderCount skips the next record and returns how many headers it claims to have.
func (s *recordScanner) nextHeaderCount() int64 {
	end := s.readVarint()
	end += s.read
	const attributes = 1
	s.skip(attributes)
	s.readVarint()                 // the time
	s.readVarint()                 // the offset
	s.skip(max(s.readVarint(), 0)) // the key; -1 is null
	s.skip(max(s.readVarint(), 0)) // the value
	headers := s.readVarint()
	s.skip(end - s.read)
	return headers
}

func (s *recordScanner) readVarint() int64 {
	if s.err != nil {
		return 0
	}
	var number int64
	number, s.err = binary.ReadVarint(s)
	return number
}

// ReadByte implements io.ByteReader for binary.ReadVarint.
func (s *recordScanner) ReadByte() (byte, error) {
	s.read++
	return s.bytes.ReadByte()
}

func (s *recordScanner) skip(count int64) {
	if s.err == nil && (count < 0 || count > client.MaxUnpackedBytes) {
		s.err = io.ErrUnexpectedEOF
	}
	if s.err == nil {
		_, s.err = s.bytes.Discard(int(count))
		s.read += count
	}
}
