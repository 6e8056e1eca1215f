package fetch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/internal/client"
)

// decodeSlot is held by the one fetch of the process whose response is being decoded:
// the memory for unpacking is needed once, not once per partition.
var decodeSlot = make(chan struct{}, 1)

var (
	errUnsupportedFormat = errors.New("its format is not that of Kafka 0.11 and later")
	errResponseTooLong   = fmt.Errorf("it has more than %d MiB", client.MaxResponseBytes>>20)
)

const (
	// maxResponsePrefix is how much is read of a response that is too long: all before
	// the batches, with a partition's aborted transactions, and the first batch's header.
	maxResponsePrefix = 64 << 10
	// freeMemoryThreshold is from how many unpacked bytes on memory goes back to the
	// system at once. Otherwise the next response adds to what this one left behind.
	freeMemoryThreshold = 16 << 20
)

// responseInspector reads the response to one fetch before Sarama decodes it. It keeps
// what the batches' headers say, and cuts the response off, as a broker does, where its
// batches would exceed the bounds of memory.
type responseInspector struct {
	at kafka.TopicPartition

	mu        sync.Mutex
	holdsSlot bool // this fetch holds decodeSlot
	released  bool // it needs the slot no more

	lastStable int64 // the last stable offset: a response has whole batches below it

	firstOffset, firstNext int64 // the first batch's offsets, by its header
	firstSize              int64 // the first batch's stored bytes; 0 if there is none

	next          int64 // the offset after the last batch that was kept
	keptBytes     int   // of the batches that were kept
	keptBatches   int   // how many of them have records
	unpackedBytes int64 // an upper bound, and after decoding the bytes themselves
	truncated     bool  // batches were cut off
}

// readResponse reads the response by read and returns what Sarama decodes.
func (i *responseInspector) readResponse(read func([]byte) (int, error)) ([]byte, error) {
	source := readFunc(read)
	response := make([]byte, 4)
	if _, err := io.ReadFull(source, response); err != nil {
		return nil, err
	}
	size := int64(binary.BigEndian.Uint32(response))
	tooLong := size > client.MaxResponseBytes
	if tooLong {
		size = maxResponsePrefix
	}
	response = append(response, make([]byte, size)...)
	if _, err := io.ReadFull(source, response[4:]); err != nil {
		return nil, err
	}
	i.acquireSlot()
	response, err := i.truncate(response)
	if err == nil && tooLong {
		err = errResponseTooLong
	}
	return response, err
}

func (i *responseInspector) acquireSlot() {
	decodeSlot <- struct{}{}
	i.mu.Lock()
	defer i.mu.Unlock()
	// The fetch may have given up while this waited.
	if i.holdsSlot = !i.released; i.released {
		<-decodeSlot
	}
}

// release is called when nothing of the decoded response is in use any more.
func (i *responseInspector) release() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.holdsSlot {
		if i.unpackedBytes >= freeMemoryThreshold {
			debug.FreeOSMemory()
		}
		<-decodeSlot
	}
	i.holdsSlot, i.released = false, true
}

// readFunc is an io.Reader of one function.
type readFunc func([]byte) (int, error)

func (r readFunc) Read(into []byte) (int, error) { return r(into) }

// truncate keeps the first batch, and the intact ones behind it that fit into the
// bounds. The error says that not even the first one is to be decoded.
func (i *responseInspector) truncate(response []byte) ([]byte, error) {
	begin, lastStable, found := locateRecords(response, i.at)
	if !found {
		return response, nil
	}
	i.lastStable = lastStable
	end, unpacked, overhead := begin, int64(0), int64(0)
	for end+batchHeaderBytes <= len(response) {
		batch := batchHeader(response[end:])
		isFirst := end == begin
		unpacked += batch.maxUnpackedSize()
		switch {
		case isFirst:
			i.firstOffset, i.firstNext = batch.offsets()
			i.firstSize = batch.size()
			if batch.magic() != 2 {
				return nil, errUnsupportedFormat
			}
			if !batch.isIntact() {
				return response, nil // Sarama fails on it
			}
		case !batch.isIntact() || unpacked > client.MaxUnpackedBytes:
			i.truncated = true
			return i.cutOff(response, begin, end), nil
		}
		if overhead += batch.memoryOverhead(maxMemoryOverhead - overhead); overhead > maxMemoryOverhead {
			if isFirst {
				return nil, errOverheadTooLarge
			}
			i.truncated = true
			break
		}
		i.unpackedBytes = unpacked
		if _, i.next = batch.offsets(); batch.records() != 0 {
			i.keptBatches++
		}
		end += int(batch.size())
	}
	return i.cutOff(response, begin, end), nil
}

// cutOff returns the response with the batches from begin up to end alone.
func (i *responseInspector) cutOff(response []byte, begin, end int) []byte {
	if end == begin {
		return response
	}
	i.keptBytes = end - begin
	binary.BigEndian.PutUint32(response[begin-4:], uint32(i.keptBytes))
	binary.BigEndian.PutUint32(response, uint32(end-4))
	return response[:end]
}

// locateRecords finds where the records begin in a response to a fetch of fetchVersion
// for that one partition, and what the partition's last stable offset is.
func locateRecords(response []byte, at kafka.TopicPartition) (begin int, lastStable int64, found bool) {
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
	lastStable = int64(binary.BigEndian.Uint64(rest))
	rest = rest[stableAndStart:]
	transactions := max(int(int32(binary.BigEndian.Uint32(rest))), 0)
	if !skip(4 + transactions*transaction + replicaAndLength) {
		return 0, 0, false
	}
	return len(response) - len(rest), lastStable, true
}
