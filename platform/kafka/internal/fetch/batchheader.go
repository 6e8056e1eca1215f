package fetch

import (
	"encoding/binary"
	"hash/crc32"

	"example.com/todo/platform/kafka/internal/client"
)

// batchHeaderBytes is the size of the header of a batch of format 2.
const batchHeaderBytes = 61

// batchHeader is a batch of format 2 (Kafka 0.11 and later) with all that follows it:
// at least batchHeaderBytes.
type batchHeader []byte

func (h batchHeader) magic() int8 { return int8(h[16]) }

// size is the bytes of the batch.
func (h batchHeader) size() int64 { return 12 + int64(int32(binary.BigEndian.Uint32(h[8:]))) }

// offsets are the batch's first offset and the one after its last; there need not be a
// record at each.
func (h batchHeader) offsets() (first, next int64) {
	first = int64(binary.BigEndian.Uint64(h))
	return first, first + int64(int32(binary.BigEndian.Uint32(h[23:]))) + 1
}

// records is the number of records.
func (h batchHeader) records() int32 { return int32(binary.BigEndian.Uint32(h[57:])) }

func (h batchHeader) codec() int { return int(h[22] & 0x07) }

func (h batchHeader) isComplete() bool {
	return batchHeaderBytes <= h.size() && h.size() <= int64(len(h))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// isIntact reports whether the batch is complete and its checksum is right.
func (h batchHeader) isIntact() bool {
	return h.magic() == 2 && h.isComplete() &&
		crc32.Checksum(h[21:h.size()], castagnoli) == binary.BigEndian.Uint32(h[17:])
}

// maxRatios are the most bytes that one stored byte unpacks to, by codec: none, gzip,
// snappy, LZ4, and Zstandard, whose block of four bytes may hold 128 KiB.
var maxRatios = [...]int64{1, 1032, 22, 255, 32 << 10}

// maxUnpackedSize is an upper bound of the bytes that the batch unpacks to.
func (h batchHeader) maxUnpackedSize() int64 {
	if h.codec() >= len(maxRatios) {
		return client.MaxUnpackedBytes
	}
	return min(h.size()*maxRatios[h.codec()], client.MaxUnpackedBytes)
}
