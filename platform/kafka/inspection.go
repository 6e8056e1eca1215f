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

// decoding is held by the one fetch of the process whose response is decoded:
// so the memory for unpacking is needed once, not once per partition.
var decoding = make(chan struct{}, 1)

var (
	errFormat = errors.New("its format is not that of Kafka 0.11 and later")
	errLong   = fmt.Errorf("it has more than %d MiB", maxResponse>>20)
)

// inspection reads the response to one fetch whole, before Sarama decodes it.
// Sarama shows nothing of a response that it cannot decode, and unpacks every
// batch of one that it can. An inspection finds out what the batches say of
// themselves and cuts the response, as a broker does, so that its batches unpack
// to no more than maxUnpacked, and need no more than maxOverhead besides.
type inspection struct {
	at place

	mu   sync.Mutex
	turn bool // this fetch holds decoding
	over bool // it needs it no more

	end   int64 // the last stable offset: whole batches below it are what a response has
	first span  // the offsets of the first batch, as it says
	size  int64 // the bytes of the first batch as it is stored; 0 when there is none
	next  int64 // the offset after the last batch that was not cut off
	used  int   // the bytes of the batches that were not cut off
	full  int   // how many of them have records
	most  int64 // the most bytes that they unpack to, or how many they did
	cut   bool  // others were cut off
}

// receive reads the response by read and returns what Sarama is to decode.
func (i *inspection) receive(read func([]byte) (int, error)) ([]byte, error) {
	source := reader(read)
	response := make([]byte, 4)
	if _, err := io.ReadFull(source, response); err != nil {
		return nil, err
	}
	size := int64(binary.BigEndian.Uint32(response))
	long := size > maxResponse
	if long {
		size = maxOpening
	}
	response = append(response, make([]byte, size)...)
	if _, err := io.ReadFull(source, response[4:]); err != nil {
		return nil, err
	}
	i.await()
	response, err := i.trim(response)
	if err == nil && long {
		err = errLong
	}
	return response, err
}

// await waits for the turn to decode.
func (i *inspection) await() {
	decoding <- struct{}{}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.turn = !i.over; i.over {
		<-decoding
	}
}

// maxOpening is how much is read of a response that is too long: all before the
// batches, with the aborted transactions of a partition, and the first batch's header.
const maxOpening = 64 << 10

// done is called when nothing of the decoded response is in use any more.
func (i *inspection) done() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.turn {
		if i.most >= muchUnpacked {
			debug.FreeOSMemory() // otherwise the next one comes on top of what this one left behind
		}
		<-decoding
	}
	i.turn, i.over = false, true
}

// muchUnpacked is from how many bytes on what was unpacked is given back at once.
const muchUnpacked = 16 << 20

// reader is an io.Reader that is one function.
type reader func([]byte) (int, error)

func (r reader) Read(into []byte) (int, error) { return r(into) }

// trim leaves the first batch, and those behind it that are intact and cannot
// unpack to too much. The error says that not even the first is to be decoded.
func (i *inspection) trim(response []byte) ([]byte, error) {
	begin, stable, found := recordsOf(response, i.at)
	if !found {
		return response, nil
	}
	i.end = stable
	end, unpacked, overhead := begin, int64(0), int64(0)
	for end+batchFrame <= len(response) {
		batch := header(response[end:])
		offsets, size := batch.offsets(), batch.size()
		unpacked += batch.unpacked()
		if end == begin {
			i.first, i.size = offsets, size
			if batch.magic() != 2 {
				return nil, errFormat
			}
			if !batch.intact() { // Sarama finds that out
				return response, nil
			}
		} else if !batch.intact() || unpacked > maxUnpacked {
			i.cut = true
			break
		}
		if overhead += batch.overhead(maxOverhead - overhead); overhead > maxOverhead {
			if end == begin {
				return nil, errOverhead
			}
			i.cut = true
			break
		}
		i.most = unpacked
		if i.next = offsets.To; batch.records() != 0 {
			i.full++
		}
		end += int(size)
	}
	if end == begin {
		return response, nil
	}
	i.used = end - begin
	binary.BigEndian.PutUint32(response[begin-4:], uint32(i.used))
	binary.BigEndian.PutUint32(response, uint32(end-4))
	return response[:end], nil
}

// header is a batch of the format of Kafka 0.11 from its beginning on, at least
// batchFrame of it.
type header []byte

func (h header) magic() int8 { return int8(h[16]) }

// size is the bytes of the batch.
func (h header) size() int64 { return 12 + int64(int32(binary.BigEndian.Uint32(h[8:]))) }

// offsets are those of the batch, whether or not there are records at them.
func (h header) offsets() span {
	first := int64(binary.BigEndian.Uint64(h))
	return span{From: first, To: first + int64(int32(binary.BigEndian.Uint32(h[23:]))) + 1}
}

// records is how many records the batch has.
func (h header) records() int32 { return int32(binary.BigEndian.Uint32(h[57:])) }

func (h header) whole() bool { return batchFrame <= h.size() && h.size() <= int64(len(h)) }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// intact tells whether the batch is as it was written.
func (h header) intact() bool {
	return h.magic() == 2 && h.whole() &&
		crc32.Checksum(h[21:h.size()], castagnoli) == binary.BigEndian.Uint32(h[17:])
}

// ratios are the most bytes that one byte unpacks to, by codec: of none, gzip,
// snappy, LZ4 and Zstandard, which has 128 KiB in a block of four bytes.
var ratios = [...]int64{1, 1032, 22, 255, 32 << 10}

// unpacked is the most bytes that the batch unpacks to.
func (h header) unpacked() int64 {
	codec := int(h[22] & 0x07)
	if codec >= len(ratios) {
		return maxUnpacked
	}
	return min(h.size()*ratios[codec], maxUnpacked)
}

// recordsOf finds where in a response to fetch, of fetchVersion and for that one
// partition, the records begin, and what the partition's last stable offset is.
func recordsOf(response []byte, at place) (begin int, stable int64, found bool) {
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
		int(binary.BigEndian.Uint16(rest)) != len(at.topic) || !skip(2+len(at.topic)+partitions) ||
		len(rest) < 4 || int32(binary.BigEndian.Uint32(rest)) != at.partition ||
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
