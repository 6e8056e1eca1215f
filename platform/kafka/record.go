package kafka

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"example.com/todo/platform/kafka/headers"
)

// Header is one header of a record. A null value is read as the empty string.
type Header struct{ Key, Value string }

// TopicPartition is a partition of a topic.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// Record is one entry of a topic. A record to send needs a Topic, and a Key, which
// chooses its partition. TopicID, Partition and Offset are set on records that were
// read.
type Record struct {
	Topic     string
	TopicID   string // "" if the broker gives topics no id
	Partition int32
	Offset    int64
	Key       []byte
	Value     []byte // nil is Kafka's null, which differs from the empty value
	Headers   []Header
	Time      time.Time // the zero time means now when the record is sent
	// Undecodable is nil, or says why the record has no contents. The record then
	// stands for a batch that cannot be decoded, which begins at its offset, or for
	// one record that is too large.
	Undecodable error
}

// Header returns the value of the last header of that name, or "" if there is none.
func (r Record) Header(key string) string {
	for i := len(r.Headers) - 1; i >= 0; i-- {
		if r.Headers[i].Key == key {
			return r.Headers[i].Value
		}
	}
	return ""
}

// IsForGroup reports whether the group handles the record. A replay for another group
// is skipped.
func (r Record) IsForGroup(group string) bool {
	replayGroup := r.Header(headers.ReplayGroup)
	return replayGroup == "" || replayGroup == group
}

// Position is the record's partition and offset, as in 0:17.
func (r Record) Position() string { return fmt.Sprintf("%d:%d", r.Partition, r.Offset) }

// EncodedSize is an upper bound, in bytes, of what the record takes in a batch before
// compression.
func (r Record) EncodedSize() int {
	const (
		maxRecordOverhead = 36 // bytes of a record without its contents
		maxHeaderOverhead = 10 // bytes of a header without its contents
	)
	size := maxRecordOverhead + len(r.Key) + len(r.Value)
	for _, header := range r.Headers {
		size += maxHeaderOverhead + len(header.Key) + len(header.Value)
	}
	return size
}

// Fingerprint is the SHA-256 of the record's key and value; null and empty differ.
// At the same offset, another fingerprint means another incarnation of the topic.
func (r Record) Fingerprint() (sum [sha256.Size]byte) {
	hash := sha256.New()
	for _, part := range [][]byte{r.Key, r.Value} {
		length := int64(len(part))
		if part == nil {
			length = -1
		}
		hash.Write(binary.BigEndian.AppendUint64(nil, uint64(length)))
		hash.Write(part)
	}
	hash.Sum(sum[:0])
	return sum
}

// ShortFingerprint is the first 16 bytes of the fingerprint, in hexadecimal.
func (r Record) ShortFingerprint() string {
	const bytes = 16 // enough to tell two records at one offset apart
	sum := r.Fingerprint()
	return fmt.Sprintf("%x", sum[:bytes])
}

// Incarnation names the log that the record was read from, to be stored beside an
// offset: by the topic's id, or, if the broker gives none, by the record's own offset
// and content.
func (r Record) Incarnation() string {
	if r.TopicID != "" {
		return incarnationOf(r.TopicID)
	}
	return fmt.Sprintf("record %d %s", r.Offset, r.ShortFingerprint())
}
