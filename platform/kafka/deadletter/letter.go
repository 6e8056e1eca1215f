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
	letterHeaders = []string{headerError, headerTopic, headerPartition, headerOffset, headerGroup, headerAttempts, headerFailedAt}
	bareHeaders   = append(slices.Clone(letterHeaders), headerSize, headerLast)
	replayHeaders = []string{headerReplayGroup, headerReplayOf, headerReplays}
)

// place is where a record is in its topic.
type place struct {
	partition int32
	offset    int64
}

func (p place) String() string { return fmt.Sprintf("%d:%d", p.partition, p.offset) }

func parsePlace(text string) (place, error) {
	before, after, _ := strings.Cut(text, ":")
	partition, err := strconv.ParseUint(before, 10, 31)
	offset, err2 := strconv.ParseUint(after, 10, 63)
	if err != nil || err2 != nil {
		return place{}, fmt.Errorf("%q is no place: give <partition>:<offset>, such as 0:17, as dlq list shows it", text)
	}
	return place{int32(partition), int64(offset)}, nil
}

// letter is a record of the dead-letter topic, as far as its headers tell.
type letter struct {
	at       place
	record   kafka.Record
	group    string // "" when it is no dead letter
	topic    string
	original string    // the place in the topic
	failedAt time.Time // zero when it does not say
	replays  int       // how often the record had been replayed when it failed
	bare     bool      // it has none of the original's contents
}

func read(record kafka.Record) letter {
	l := letter{
		at:       place{record.Partition, record.Offset},
		record:   record,
		topic:    record.Header(headerTopic),
		original: record.Header(headerPartition) + ":" + record.Header(headerOffset),
	}
	if l.topic != "" {
		l.group = record.Header(headerGroup)
	}
	if at, err := time.Parse(time.RFC3339, record.Header(headerFailedAt)); err == nil {
		l.failedAt = at
	}
	if replays, err := strconv.Atoi(record.Header(headerReplays)); err == nil {
		l.replays = max(0, replays)
	}
	l.bare = l.group != "" && last(record, headerSize) > last(record, headerError)
	return l
}

// last is the index of the last header of that name; -1 when there is none.
func last(record kafka.Record, name string) int {
	for i, header := range slices.Backward(record.Headers) {
		if header.Key == name {
			return i
		}
	}
	return -1
}

// headers returns those of the original. It may itself have had headers by the
// names of a dead letter's: the letter's own come after them.
func (l letter) headers() []kafka.Header {
	headers := slices.Clone(l.record.Headers)
	names := letterHeaders
	if l.bare {
		names = bareHeaders
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

// replay returns the record that is to be written.
func (l letter) replay() kafka.Record {
	headers := slices.DeleteFunc(l.headers(), func(h kafka.Header) bool { return slices.Contains(replayHeaders, h.Key) })
	headers = append(headers,
		kafka.Header{Key: headerReplayGroup, Value: l.group},
		kafka.Header{Key: headerReplayOf, Value: l.at.String()},
		kafka.Header{Key: headerReplays, Value: strconv.Itoa(l.replays + 1)},
	)
	return kafka.Record{Topic: l.topic, Key: l.record.Key, Value: l.record.Value, Headers: headers}
}

// identity is the same for letters of one failed record: there may be several,
// when a process died after writing one, or the group read the topic anew.
type identity struct {
	group, topic, original string
	content                [sha256.Size]byte // tells a topic that was made anew
}

func (l letter) identity() identity {
	return identity{l.group, l.topic, l.original, l.record.Fingerprint()}
}
