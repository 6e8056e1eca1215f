package kafka

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/IBM/sarama"
)

// Header is one header of a record. A null value is read as the empty one.
type Header struct{ Key, Value string }

// Record is one entry of a topic. To be sent it needs a Topic, and a Key that
// chooses its partition; TopicID, Partition and Offset are known only of what was
// read.
type Record struct {
	Topic     string
	TopicID   string // "" where the broker gives topics no id
	Partition int32
	Offset    int64
	Key       []byte
	Value     []byte // nil is Kafka's null, which is not the empty value
	Headers   []Header
	Time      time.Time // when sending, zero means now
	// Undecodable says why there is nothing but a place: this stands for a batch
	// that cannot be decoded, which begins there, or for one record that is too
	// large. It is nil in a record.
	Undecodable error
}

// Header returns the value of the last header of that name, or "" when there is none.
func (r Record) Header(key string) string {
	for i := len(r.Headers) - 1; i >= 0; i-- {
		if r.Headers[i].Key == key {
			return r.Headers[i].Value
		}
	}
	return ""
}

// Fingerprint is the SHA-256 of the record's key and value, in which null is not
// empty. Beside its place it tells a record from one of a topic that was made anew.
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

// position names the record within its topic.
func (r Record) position() string { return fmt.Sprintf("%d:%d", r.Partition, r.Offset) }

// IsForGroup tells whether the group is to handle the record: one that replays for
// another group is none of its business.
func (r Record) IsForGroup(group string) bool {
	meant := r.Header(headerReplay)
	return meant == "" || meant == group
}

// fromSarama copies the contents: they lie in Sarama's buffer for a whole
// response, which they would keep in memory. It is called for every record, so
// it allocates once for key and value, and once for all headers' text.
func fromSarama(message *sarama.ConsumerMessage) Record {
	room := make([]byte, 0, len(message.Key)+len(message.Value))
	keep := func(part []byte) []byte {
		if part == nil {
			return nil
		}
		begin := len(room)
		room = append(room, part...)
		return room[begin:len(room):len(room)]
	}
	return Record{
		Topic:     message.Topic,
		Partition: message.Partition,
		Offset:    message.Offset,
		Key:       keep(message.Key),
		Value:     keep(message.Value),
		Headers:   headersFromSarama(message.Headers),
		Time:      message.Timestamp,
	}
}

// parsedHeaderSize of memory are needed for a header without its text: two strings.
const parsedHeaderSize = 32

// recordSize is how much memory the contents need. A header without text has two
// bytes in a batch, so those of one record may need much more than the batch unpacks to.
func recordSize(message *sarama.ConsumerMessage) int {
	size := len(message.Key) + len(message.Value)
	for _, header := range message.Headers {
		size += parsedHeaderSize + len(header.Key) + len(header.Value)
	}
	return size
}

func headersFromSarama(headers []*sarama.RecordHeader) []Header {
	if len(headers) == 0 {
		return nil
	}
	size := 0
	for _, header := range headers {
		size += len(header.Key) + len(header.Value)
	}
	var text strings.Builder
	text.Grow(size)
	for _, header := range headers {
		text.Write(header.Key)
		text.Write(header.Value)
	}
	rest := text.String()
	kept := make([]Header, len(headers))
	for i, header := range headers {
		key, end := len(header.Key), len(header.Key)+len(header.Value)
		kept[i], rest = Header{Key: rest[:key], Value: rest[key:end]}, rest[end:]
	}
	return kept
}
