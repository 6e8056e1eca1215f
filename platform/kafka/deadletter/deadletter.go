package deadletter

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/todo/platform/kafka"
)

// Headers that the package kafka adds to a dead letter.
const (
	headerError     = "error"
	headerTopic     = "original-topic"
	headerPartition = "original-partition"
	headerOffset    = "original-offset"
	headerGroup     = "consumer-group"
	headerAttempts  = "attempts"
	headerFailedAt  = "failed-at"
)

// Headers that a letter without the original's contents has too.
const (
	headerSize = "original-size"
	headerLast = "original-last-offset"
)

// Headers that a replay adds.
const (
	headerReplayGroup = "replay-group" // known to the package kafka too
	headerReplayOf    = "replay-of"
	headerReplays     = "replays"
)

var (
	deadLetterHeaders  = []string{headerError, headerTopic, headerPartition, headerOffset, headerGroup, headerAttempts, headerFailedAt}
	contentlessHeaders = append(slices.Clone(deadLetterHeaders), headerSize, headerLast)
	replayHeaders      = []string{headerReplayGroup, headerReplayOf, headerReplays}
)

// position is where a record is in its topic.
type position struct {
	partition int32
	offset    int64
}

func (p position) String() string { return fmt.Sprintf("%d:%d", p.partition, p.offset) }

func parsePosition(text string) (position, error) {
	before, after, _ := strings.Cut(text, ":")
	partition, err := strconv.ParseUint(before, 10, 31)
	offset, err2 := strconv.ParseUint(after, 10, 63)
	if err != nil || err2 != nil {
		return position{}, fmt.Errorf("%q is no place: give <partition>:<offset>, such as 0:17, as dlq list shows it", text)
	}
	return position{int32(partition), int64(offset)}, nil
}

// deadLetter is a record of the dead-letter topic, as far as its headers tell.
type deadLetter struct {
	position         position
	record           kafka.Record
	group            string // "" when it is no dead letter
	topic            string
	originalPosition string    // the place in the topic
	failedAt         time.Time // zero when it does not say
	priorReplays     int       // how often the record had been replayed when it failed
	contentless      bool      // it has none of the original's contents
}

func parseDeadLetter(record kafka.Record) deadLetter {
	l := deadLetter{
		position:         position{record.Partition, record.Offset},
		record:           record,
		topic:            record.Header(headerTopic),
		originalPosition: record.Header(headerPartition) + ":" + record.Header(headerOffset),
	}
	if l.topic != "" {
		l.group = record.Header(headerGroup)
	}
	if at, err := time.Parse(time.RFC3339, record.Header(headerFailedAt)); err == nil {
		l.failedAt = at
	}
	if replays, err := strconv.Atoi(record.Header(headerReplays)); err == nil {
		l.priorReplays = max(0, replays)
	}
	l.contentless = l.group != "" && lastIndex(record, headerSize) > lastIndex(record, headerError)
	return l
}

// lastIndex is the index of the last header of that name; -1 when there is none.
func lastIndex(record kafka.Record, name string) int {
	for i, header := range slices.Backward(record.Headers) {
		if header.Key == name {
			return i
		}
	}
	return -1
}

// originalHeaders returns those of the original. It may itself have had headers by the
// names of a dead letter's: the letter's own come after them.
func (l deadLetter) originalHeaders() []kafka.Header {
	headers := slices.Clone(l.record.Headers)
	names := deadLetterHeaders
	if l.contentless {
		names = contentlessHeaders
	}
	for _, name := range names {
		for i, header := range slices.Backward(headers) {
			if header.Key == name {
				headers = slices.Delete(headers, i, i+1)
				break
			}
		}
	}
	return headers
}

// replayRecord returns the record that is to be written.
func (l deadLetter) replayRecord() kafka.Record {
	headers := slices.DeleteFunc(l.originalHeaders(), func(h kafka.Header) bool { return slices.Contains(replayHeaders, h.Key) })
	headers = append(headers,
		kafka.Header{Key: headerReplayGroup, Value: l.group},
		kafka.Header{Key: headerReplayOf, Value: l.position.String()},
		kafka.Header{Key: headerReplays, Value: strconv.Itoa(l.priorReplays + 1)},
	)
	return kafka.Record{Topic: l.topic, Key: l.record.Key, Value: l.record.Value, Headers: headers}
}

// identity is the same for letters of one failed record: there may be several,
// when a process died after writing one, or the group read the topic anew.
type identity struct {
	group, topic, original string
	content                [sha256.Size]byte // tells a topic that was made anew
}

func (l deadLetter) identity() identity {
	return identity{l.group, l.topic, l.originalPosition, l.record.Fingerprint()}
}
