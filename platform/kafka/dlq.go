package kafka

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"example.com/todo/platform/failpoint"
)

// Headers that a dead letter has beside those of the original.
const (
	headerError     = "error"
	headerTopic     = "original-topic"
	headerPartition = "original-partition"
	headerOffset    = "original-offset"
	headerGroup     = "consumer-group"
	headerAttempts  = "attempts"
	headerFailedAt  = "failed-at"
)

// Headers of a letter without the original's contents: how many bytes it has, and
// for a batch the offset of its last record.
const (
	headerSize = "original-size"
	headerLast = "original-last-offset"
)

// maxBareKeyBytes bounds the key of a letter without contents.
const maxBareKeyBytes = 1 << 10

// headerReplay names the only group that a replayed record is meant for.
const headerReplay = "replay-group"

// maxErrorBytes bounds the header error: the dead-letter topic takes records only
// a little larger than the topic does.
const maxErrorBytes = 1 << 10

// publishTimeout bounds one try to send a dead letter.
const publishTimeout = 10 * time.Second

// newDeadLetter makes the record that keeps another for inspection and replay. Its
// time is now: with the original's an old record would be deleted at once.
func newDeadLetter(cfg GroupConfig, record Record, attempts int, cause error, now time.Time) Record {
	headers := append(slices.Clone(record.Headers), deadLetterHeaders(cfg, record, attempts, cause, now)...)
	return Record{Topic: cfg.DLQ, Key: record.Key, Value: record.Value, Headers: headers, Time: now}
}

// newBareDeadLetter is a dead letter without the contents, for what has none that can be
// read or is too large for the topic of the dead letters.
func newBareDeadLetter(cfg GroupConfig, record Record, attempts int, cause error, now time.Time) Record {
	letter := Record{Topic: cfg.DLQ, Headers: deadLetterHeaders(cfg, record, attempts, cause, now), Time: now}
	size := int64(weight(record))
	var bad *UndecodableError
	if errors.As(record.Undecodable, &bad) {
		size = bad.Size
		letter.Headers = append(letter.Headers, Header{headerLast, strconv.FormatInt(bad.offsets.To-1, 10)})
	} else if len(record.Key) <= maxBareKeyBytes {
		letter.Key = record.Key
	}
	letter.Headers = append(letter.Headers, Header{headerSize, strconv.FormatInt(size, 10)})
	return letter
}

func deadLetterHeaders(cfg GroupConfig, record Record, attempts int, cause error, now time.Time) []Header {
	return []Header{
		{headerError, truncateUTF8(cause.Error(), maxErrorBytes)},
		{headerTopic, record.Topic},
		{headerPartition, strconv.Itoa(int(record.Partition))},
		{headerOffset, strconv.FormatInt(record.Offset, 10)},
		{headerGroup, cfg.Group},
		{headerAttempts, strconv.Itoa(attempts)},
		{headerFailedAt, now.UTC().Format(time.RFC3339)},
	}
}

// truncateUTF8 makes text valid UTF-8 of at most limit bytes.
func truncateUTF8(text string, limit int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// publishDeadLetter sends the record to the dead-letter topic and returns when it is there.
// It is false when the session has ended: nothing else lets the record go.
func (c *partitionConsumer) publishDeadLetter(record Record, attempts int, cause error) bool {
	held := holdup{log: c.log, what: "dead-lettering a record", offset: record.Offset}
	write, bare := newDeadLetter, record.Undecodable != nil
	for {
		if bare {
			write = newBareDeadLetter
		}
		letter := write(c.group.cfg, record, attempts, cause, time.Now())
		ctx, cancel := context.WithTimeout(c.drainCtx, publishTimeout)
		err := c.group.dlqProducer.Send(ctx, []Record{letter})
		cancel()
		if err == nil {
			failpoint.Hit(failpoint.AfterDeadLetter, record.position())
			held.over()
			c.log.Error("a record was dead-lettered",
				"offset", record.Offset, "key", string(record.Key), "attempts", attempts, "error", cause)
			return true
		}
		if errors.Is(err, ErrRejected) && !bare {
			bare = true
			c.log.Warn("Kafka refuses the dead letter: sending it without the record's contents", "offset", record.Offset, "error", err)
			continue
		}
		held.failed(err)
		if held.pause.wait(c.sessionCtx) != nil {
			return false
		}
	}
}
