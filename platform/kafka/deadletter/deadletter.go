package deadletter

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/headers"
)

// Headers that a replay adds, beside headers.ReplayGroup.
const (
	headerReplayOf = "replay-of"
	headerReplays  = "replays"
)

var (
	deadLetterHeaders  = []string{headers.Error, headers.OriginalTopic, headers.OriginalPartition, headers.OriginalOffset, headers.ConsumerGroup, headers.Attempts, headers.FailedAt}
	contentlessHeaders = append(slices.Clone(deadLetterHeaders), headers.OriginalSize, headers.OriginalLastOffset)
	replayHeaders      = []string{headers.ReplayGroup, headerReplayOf, headerReplays}
)

// position is the position of a record in its topic. Users see it as the place partition:offset.
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

// deadLetter is a record of the dead-letter topic, parsed by its headers.
type deadLetter struct {
	position         position
	record           kafka.Record
	group            string // "" if the record is no dead letter
	topic            string
	originalPosition string    // position in the original topic, as in the headers
	failedAt         time.Time // zero if the header is missing or invalid
	priorReplays     int       // how often the record had been replayed before it failed
	contentless      bool      // key, value and headers of the original are missing
}

// parseDeadLetter accepts any record: the topic is open to every writer.
func parseDeadLetter(record kafka.Record) deadLetter {
	l := deadLetter{
		position:         position{record.Partition, record.Offset},
		record:           record,
		topic:            record.Header(headers.OriginalTopic),
		originalPosition: record.Header(headers.OriginalPartition) + ":" + record.Header(headers.OriginalOffset),
	}
	if l.topic != "" {
		l.group = record.Header(headers.ConsumerGroup)
	}
	l.failedAt, _ = time.Parse(time.RFC3339, record.Header(headers.FailedAt))
	if replays, err := strconv.Atoi(record.Header(headerReplays)); err == nil {
		l.priorReplays = max(0, replays)
	}
	// Any record may have had a header of its own by this name, before the dead letter's.
	l.contentless = l.group != "" && lastIndex(record.Headers, headers.OriginalSize) > lastIndex(record.Headers, headers.Error)
	return l
}

// lastIndex returns the index of the last header with the name, or -1.
func lastIndex(headers []kafka.Header, name string) int {
	for i, header := range slices.Backward(headers) {
		if header.Key == name {
			return i
		}
	}
	return -1
}

func (l deadLetter) originalHeaders() []kafka.Header {
	headers := slices.Clone(l.record.Headers)
	names := deadLetterHeaders
	if l.contentless {
		names = contentlessHeaders
	}
	// The original may have had headers with the same names. The dead letter's follow them.
	for _, name := range names {
		if i := lastIndex(headers, name); i >= 0 {
			headers = slices.Delete(headers, i, i+1)
		}
	}
	return headers
}

func (l deadLetter) replayRecord() kafka.Record {
	all := slices.DeleteFunc(l.originalHeaders(), func(h kafka.Header) bool { return slices.Contains(replayHeaders, h.Key) })
	all = append(all,
		kafka.Header{Key: headers.ReplayGroup, Value: l.group},
		kafka.Header{Key: headerReplayOf, Value: l.position.String()},
		kafka.Header{Key: headerReplays, Value: strconv.Itoa(l.priorReplays + 1)},
	)
	return kafka.Record{Topic: l.topic, Key: l.record.Key, Value: l.record.Value, Headers: all}
}

type identity struct {
	group, topic, original string
	content                [sha256.Size]byte // differs if the topic was deleted and created again
}

func (l deadLetter) identity() identity {
	return identity{l.group, l.topic, l.originalPosition, l.record.Fingerprint()}
}
