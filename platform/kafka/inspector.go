package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"runtime/debug"
	"sync"
)

// decodeSlot is held by the one fetch of the process whose response is decoded:
// so the memory for unpacking is needed once, not once per partition.
var decodeSlot = make(chan struct{}, 1)

var (
	errUnsupportedFormat = errors.New("its format is not that of Kafka 0.11 and later")
	errResponseTooLong   = fmt.Errorf("it has more than %d MiB", maxResponse>>20)
)

// responseInspector reads the response to one fetch whole, before Sarama decodes it.
// Sarama shows nothing of a response that it cannot decode, and unpacks every
// batch of one that it can. An inspection finds out what the batches say of
// themselves and cuts the response, as a broker does, so that its batches unpack
// to no more than maxUnpacked, and need no more than maxMemoryOverhead besides.
type responseInspector struct {
	at TopicPartition

	mu        sync.Mutex
	holdsSlot bool // this fetch holds decoding
	released  bool // it needs it no more

	lastStable    int64       // the last stable offset: whole batches below it are what a response has
	firstOffsets  OffsetRange // the offsets of the first batch, as it says
	firstSize     int64       // the bytes of the first batch as it is stored; 0 when there is none
	next          int64       // the offset after the last batch that was not cut off
	keptBytes     int         // the bytes of the batches that were not cut off
	keptBatches   int         // how many of them have records
	unpackedBytes int64       // the most bytes that they unpack to, or how many they did
	truncated     bool        // others were cut off
}

// readResponse reads the response by read and returns what Sarama is to decode.
func (i *responseInspector) readResponse(read func([]byte) (int, error)) ([]byte, error) {
	source := readFunc(read)
	response := make([]byte, 4)
	if _, err := io.ReadFull(source, response); err != nil {
		return nil, err
	}
	size := int64(binary.BigEndian.Uint32(response))
	long := size > maxResponse
	if long {
		size = maxResponsePrefix
	}
	response = append(response, make([]byte, size)...)
	if _, err := io.ReadFull(source, response[4:]); err != nil {
		return nil, err
	}
	i.acquireSlot()
	response, err := i.truncate(response)
	if err == nil && long {
		err = errResponseTooLong
	}
	return response, err
}

// acquireSlot waits for the turn to decode.
func (i *responseInspector) acquireSlot() {
	decodeSlot <- struct{}{}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.holdsSlot = !i.released; i.released {
		<-decodeSlot
	}
}

// maxResponsePrefix is how much is read of a response that is too long: all before the
// batches, with the aborted transactions of a partition, and the first batch's header.
const maxResponsePrefix = 64 << 10

// release is called when nothing of the decoded response is in use any more.
func (i *responseInspector) release() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.holdsSlot {
		if i.unpackedBytes >= freeMemoryThreshold {
			debug.FreeOSMemory() // otherwise the next one comes on top of what this one left behind
		}
		<-decodeSlot
	}
	i.holdsSlot, i.released = false, true
}

// freeMemoryThreshold is from how many bytes on what was unpacked is given back at once.
const freeMemoryThreshold = 16 << 20

// readFunc is an io.Reader that is one function.
type readFunc func([]byte) (int, error)

func (r readFunc) Read(into []byte) (int, error) { return r(into) }

// truncate leaves the first batch, and those behind it that are intact and cannot
// unpack to too much. The error says that not even the first is to be decoded.
func (i *responseInspector) truncate(response []byte) ([]byte, error) {
	begin, stable, found := locateRecords(response, i.at)
	if !found {
		return response, nil
	}
	i.lastStable = stable
	end, unpacked, overhead := begin, int64(0), int64(0)
	for end+batchHeaderBytes <= len(response) {
		batch := batchHeader(response[end:])
		offsets, size := batch.offsets(), batch.size()
		unpacked += batch.maxUnpackedSize()
		if end == begin {
			i.firstOffsets, i.firstSize = offsets, size
			if batch.magic() != 2 {
				return nil, errUnsupportedFormat
			}
			if !batch.isIntact() { // Sarama finds that out
				return response, nil
			}
		} else if !batch.isIntact() || unpacked > maxUnpacked {
			i.truncated = true
			break
		}
		if overhead += batch.memoryOverhead(maxMemoryOverhead - overhead); overhead > maxMemoryOverhead {
			if end == begin {
				return nil, errOverheadTooLarge
			}
			i.truncated = true
			break
		}
		i.unpackedBytes = unpacked
		if i.next = offsets.To; batch.records() != 0 {
			i.keptBatches++
		}
		end += int(size)
	}
	if end == begin {
		return response, nil
	}
	i.keptBytes = end - begin
	binary.BigEndian.PutUint32(response[begin-4:], uint32(i.keptBytes))
	binary.BigEndian.PutUint32(response, uint32(end-4))
	return response[:end], nil
}

// batchHeader is a batch of the format of Kafka 0.11 from its beginning on, at least
// batchHeaderBytes of it.
type batchHeader []byte

func (h batchHeader) magic() int8 { return int8(h[16]) }

// firstSize is the bytes of the batch.
func (h batchHeader) size() int64 { return 12 + int64(int32(binary.BigEndian.Uint32(h[8:]))) }

// offsets are those of the batch, whether or not there are records at them.
func (h batchHeader) offsets() OffsetRange {
	first := int64(binary.BigEndian.Uint64(h))
	return OffsetRange{From: first, To: first + int64(int32(binary.BigEndian.Uint32(h[23:]))) + 1}
}

// Records is how many records the batch has.
func (h batchHeader) records() int32 { return int32(binary.BigEndian.Uint32(h[57:])) }

func (h batchHeader) isComplete() bool {
	return batchHeaderBytes <= h.size() && h.size() <= int64(len(h))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// isIntact tells whether the batch is as it was written.
func (h batchHeader) isIntact() bool {
	return h.magic() == 2 && h.isComplete() &&
		crc32.Checksum(h[21:h.size()], castagnoli) == binary.BigEndian.Uint32(h[17:])
}

// maxRatios are the most bytes that one byte unpacks to, by codec: of none, gzip,
// snappy, LZ4 and Zstandard, which has 128 KiB in a block of four bytes.
var maxRatios = [...]int64{1, 1032, 22, 255, 32 << 10}

// maxUnpackedSize is the most bytes that the batch unpacks to.
func (h batchHeader) maxUnpackedSize() int64 {
	codec := int(h[22] & 0x07)
	if codec >= len(maxRatios) {
		return maxUnpacked
	}
	return min(h.size()*maxRatios[codec], maxUnpacked)
}

// locateRecords finds where in a response to fetch, of fetchVersion and for that one
// partition, the records begin, and what the partition's last stable offset is.
func locateRecords(response []byte, at TopicPartition) (begin int, stable int64, found bool) {
	const (
		lengthAndCorrelation = 4 + 4
		throttleErrorSession = 4 + 2 + 4
		topics               = 4
		partitions           = 4
		partition            = 4
		errorAndHigh         = 2 + 8
		stableAndStart       = 8 + 8
		transaction          = 8 + 8
		replicaAndLength     = 4 + 4
	)
	rest := response
	skip := func(bytes int) bool {
		if bytes < 0 || len(rest) < bytes {
			return false
		}
		rest = rest[bytes:]
		return true
	}
	if !skip(lengthAndCorrelation+throttleErrorSession+topics) || len(rest) < 2 ||
		int(binary.BigEndian.Uint16(rest)) != len(at.Topic) || !skip(2+len(at.Topic)+partitions) ||
		len(rest) < 4 || int32(binary.BigEndian.Uint32(rest)) != at.Partition ||
		!skip(partition+errorAndHigh) || len(rest) < stableAndStart+4 {
		return 0, 0, false
	}
	stable = int64(binary.BigEndian.Uint64(rest))
	rest = rest[stableAndStart:]
	transactions := max(int(int32(binary.BigEndian.Uint32(rest))), 0)
	if !skip(4 + transactions*transaction + replicaAndLength) {
		return 0, 0, false
	}
	return len(response) - len(rest), stable, true
}
