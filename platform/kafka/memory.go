package kafka

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
)

// What Sarama needs in memory for a record and for a header, besides their contents:
// the structure and a pointer to it.
const (
	recordMemory = 112 + 8
	headerMemory = 48 + 8
)

// maxMemoryOverhead is how much of that one response may need. The shortest header has
// two bytes in a batch, so that of a batch of maxUnpacked it would be 1.8 GB.
const maxMemoryOverhead = 256 << 20

var errOverheadTooLarge = fmt.Errorf("its records and headers need more than %d MiB without their contents", maxMemoryOverhead>>20)

// memoryOverhead is how many bytes Sarama needs for the batch's records and headers
// besides their contents: an upper bound if that is within room, and otherwise
// what they need, or anything above room.
func (h batchHeader) memoryOverhead(room int64) int64 {
	records := max(int64(h.records()), 0)
	needed := records * recordMemory
	if atMost := needed + h.maxUnpackedSize()/2*headerMemory; atMost <= room {
		return atMost
	}
	contents, err := h.decompress()
	if err != nil {
		return needed // Sarama fails as well
	}
	defer contents.Close()
	walk := recordScanner{bytes: bufio.NewReader(io.LimitReader(contents, maxUnpacked))}
	for ; records > 0 && needed <= room && walk.err == nil; records-- {
		needed += min(max(walk.nextHeaderCount(), 0), maxUnpacked) * headerMemory
	}
	return needed
}

// decompress returns the batch's records as they were before they were compressed.
func (h batchHeader) decompress() (io.ReadCloser, error) {
	stored := h[batchHeaderBytes:h.size()]
	switch sarama.CompressionCodec(h[22] & 0x07) {
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
		unpacking, err := zstd.NewReader(bytes.NewReader(stored),
			zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxUnpacked))
		if err != nil {
			return nil, err
		}
		return unpacking.IOReadCloser(), nil
	}
	return nil, errors.ErrUnsupported
}

// recordScanner goes from record to record without keeping any. After an error, and
// after a record with a wrong length, it says nothing; Sarama stops there as well.
type recordScanner struct {
	bytes *bufio.Reader
	read  int64
	err   error
}

// nextHeaderCount passes the next record and returns how many headers it says it has.
func (w *recordScanner) nextHeaderCount() int64 {
	end := w.readVarint()
	end += w.read
	const attributes = 1
	w.skip(attributes)
	w.readVarint()                 // the time
	w.readVarint()                 // the offset
	w.skip(max(w.readVarint(), 0)) // the key; -1 is none
	w.skip(max(w.readVarint(), 0)) // the value
	headers := w.readVarint()
	w.skip(end - w.read)
	return headers
}

func (w *recordScanner) readVarint() int64 {
	if w.err != nil {
		return 0
	}
	var number int64
	number, w.err = binary.ReadVarint(w)
	return number
}

// ReadByte makes the walk what encoding/binary reads varints from.
func (w *recordScanner) ReadByte() (byte, error) {
	w.read++
	return w.bytes.ReadByte()
}

func (w *recordScanner) skip(count int64) {
	if w.err == nil && (count < 0 || count > maxUnpacked) {
		w.err = io.ErrUnexpectedEOF
	}
	if w.err == nil {
		_, w.err = w.bytes.Discard(int(count))
		w.read += count
	}
}
