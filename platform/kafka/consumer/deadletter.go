package consumer

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"example.com/todo/platform/failpoint"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/headers"
	"example.com/todo/platform/kafka/internal/fetch"
	"example.com/todo/platform/kafka/producer"
	"example.com/todo/platform/retry"
)

const (
	// maxErrorBytes bounds the header error: the dead-letter topic accepts records that
	// are only a little larger than the topic's.
	maxErrorBytes = 1 << 10
	// maxBareKeyBytes bounds the key of a dead letter without contents.
	maxBareKeyBytes = 1 << 10
	// publishTimeout bounds one attempt to publish a dead letter.
	publishTimeout = 10 * time.Second
)

// newDeadLetter returns the record that keeps another one for inspection and replay.
// Its time is now: with the original's, retention could delete it at once.
func newDeadLetter(cfg GroupConfig, record kafka.Record, attempts int, cause error, now time.Time) kafka.Record {
	all := append(slices.Clone(record.Headers), deadLetterHeaders(cfg, record, attempts, cause, now)...)
	return kafka.Record{Topic: cfg.DLQ, Key: record.Key, Value: record.Value, Headers: all, Time: now}
}

// newBareDeadLetter returns a dead letter without the contents, which cannot be decoded
// or are too large for the dead-letter topic.
func newBareDeadLetter(cfg GroupConfig, record kafka.Record, attempts int, cause error, now time.Time) kafka.Record {
	letter := kafka.Record{Topic: cfg.DLQ, Headers: deadLetterHeaders(cfg, record, attempts, cause, now), Time: now}
	size := int64(record.EncodedSize())
	var bad *fetch.UndecodableError
	if errors.As(record.Undecodable, &bad) {
		size = bad.Size
		letter.Headers = append(letter.Headers, kafka.Header{Key: headers.OriginalLastOffset, Value: strconv.FormatInt(bad.Next-1, 10)})
	} else if len(record.Key) <= maxBareKeyBytes {
		letter.Key = record.Key
	}
	letter.Headers = append(letter.Headers, kafka.Header{Key: headers.OriginalSize, Value: strconv.FormatInt(size, 10)})
	return letter
}

func deadLetterHeaders(cfg GroupConfig, record kafka.Record, attempts int, cause error, now time.Time) []kafka.Header {
	return []kafka.Header{
		{Key: headers.Error, Value: truncateUTF8(cause.Error(), maxErrorBytes)},
		{Key: headers.OriginalTopic, Value: record.Topic},
		{Key: headers.OriginalPartition, Value: strconv.Itoa(int(record.Partition))},
		{Key: headers.OriginalOffset, Value: strconv.FormatInt(record.Offset, 10)},
		{Key: headers.ConsumerGroup, Value: cfg.Group},
		{Key: headers.Attempts, Value: strconv.Itoa(attempts)},
		{Key: headers.FailedAt, Value: now.UTC().Format(time.RFC3339)},
	}
}

// truncateUTF8 returns the text as valid UTF-8 of at most limit bytes.
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

// publishDeadLetter retries until Kafka has acknowledged the dead letter. It returns
// false if the session has ended; nothing else lets the record go unpublished.
func (c *partitionConsumer) publishDeadLetter(record kafka.Record, attempts int, cause error) bool {
	bare := record.Undecodable != nil
	outage := newOutage(c.log, "dead-lettering a record", record.Offset)
	// An attempt may outlast the session: what was sent is better committed.
	send := func() error { return c.sendDeadLetter(c.drainCtx, record, bare, attempts, cause) }
	err := retry.Do(c.sessionCtx, retryBackoff, outage, func(context.Context) error {
		err := send()
		if errors.Is(err, producer.ErrRejected) && !bare {
			c.log.Warn("kafka consumer: Kafka refused the dead letter, sending it without the record's contents", "offset", record.Offset, "error", err)
			bare = true
			err = send()
		}
		return err
	})
	if err != nil {
		return false
	}
	failpoint.Hit(failpoint.AfterDeadLetter, record.Position())
	c.log.Error("kafka consumer: a record was dead-lettered",
		"offset", record.Offset, "key", string(record.Key), "attempts", attempts, "error", cause)
	return true
}

func (c *partitionConsumer) sendDeadLetter(ctx context.Context, record kafka.Record, bare bool, attempts int, cause error) error {
	letter := newDeadLetter
	if bare {
		letter = newBareDeadLetter
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	return c.group.dlqProducer.Send(ctx, []kafka.Record{letter(c.group.cfg, record, attempts, cause, time.Now())})
}
