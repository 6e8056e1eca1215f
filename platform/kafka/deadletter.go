package kafka

import (
	"context"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"example.com/todo/platform/crashpoint"
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

// headerReplay names the only group that a replayed record is meant for.
const headerReplay = "replay-group"

// errorBytes bounds the header error: the dead-letter topic takes records only
// a little larger than the topic does.
const errorBytes = 1 << 10

// publishTimeout bounds one try to send a dead letter.
const publishTimeout = 10 * time.Second

// deadLetter makes the record that keeps another for inspection and replay. Its
// time is now: with the original's an old record would be deleted at once.
func deadLetter(cfg GroupConfig, record Record, attempts int, cause error, now time.Time) Record {
	headers := append([]Header(nil), record.Headers...)
	headers = append(headers,
		Header{headerError, sentence(cause.Error(), errorBytes)},
		Header{headerTopic, record.Topic},
		Header{headerPartition, strconv.Itoa(int(record.Partition))},
		Header{headerOffset, strconv.FormatInt(record.Offset, 10)},
		Header{headerGroup, cfg.Group},
		Header{headerAttempts, strconv.Itoa(attempts)},
		Header{headerFailedAt, now.UTC().Format(time.RFC3339)},
	)
	return Record{Topic: cfg.DLQ, Key: record.Key, Value: record.Value, Headers: headers, Time: now}
}

// sentence makes text valid UTF-8 of at most limit bytes.
func sentence(text string, limit int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// bury sends the record to the dead-letter topic and returns when it is there.
// It is false when the session has ended: nothing else lets the record go.
func (c *claim) bury(record Record, attempts int, cause error) bool {
	held := holdup{log: c.log, what: "dead-lettering a record", offset: record.Offset}
	for {
		letter := deadLetter(c.group.cfg, record, attempts, cause, time.Now())
		ctx, cancel := context.WithTimeout(c.lasting, publishTimeout)
		err := c.group.dlq.Send(ctx, []Record{letter})
		cancel()
		if err == nil {
			crashpoint.Reach(crashpoint.AfterDeadLetter, record.place())
			held.over()
			c.log.Error("a record was dead-lettered",
				"offset", record.Offset, "key", string(record.Key), "attempts", attempts, "error", cause)
			return true
		}
		held.failed(err)
		if held.pause.wait(c.session) != nil {
			return false
		}
	}
}
