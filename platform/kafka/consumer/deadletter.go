package consumer

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

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
// Its time is now: with the original's, retention could delete it at once. A bare one is
// without the contents, which cannot be decoded or are too large for the topic.
func newDeadLetter(cfg GroupConfig, record kafka.Record, bare bool, attempts int, cause error) kafka.Record {
	now := time.Now()
	letter := kafka.Record{Topic: cfg.DLQ, Key: record.Key, Time: now}
	if !bare {
		letter.Value, letter.Headers = record.Value, slices.Clone(record.Headers)
	} else if len(record.Key) > maxBareKeyBytes {
		letter.Key = nil
	}
	add := func(key, value string) { letter.Headers = append(letter.Headers, kafka.Header{Key: key, Value: value}) }
	add(headers.Error, truncateUTF8(cause.Error(), maxErrorBytes))
	add(headers.OriginalTopic, record.Topic)
	add(headers.OriginalPartition, strconv.Itoa(int(record.Partition)))
	add(headers.OriginalOffset, strconv.FormatInt(record.Offset, 10))
	add(headers.ConsumerGroup, cfg.Group)
	add(headers.Attempts, strconv.Itoa(attempts))
	add(headers.FailedAt, now.UTC().Format(time.RFC3339))
	size := int64(record.EncodedSize())
	var bad *fetch.UndecodableError
	if errors.As(record.Undecodable, &bad) {
		size = bad.Size
		add(headers.OriginalLastOffset, strconv.FormatInt(bad.Next-1, 10))
	}
	if bare {
		add(headers.OriginalSize, strconv.FormatInt(size, 10))
	}
	return letter
}

// truncateUTF8 returns the text as valid UTF-8 of at most limit bytes.
func truncateUTF8(text string, limit int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	return strings.ToValidUTF8(text[:min(len(text), limit)], "") // without half a character at the end
}

// publishDeadLetter retries until Kafka has acknowledged the dead letter. It returns
// false if the session has ended; nothing else lets the record go unpublished.
func (c *partitionConsumer) publishDeadLetter(record kafka.Record, attempts int, cause error) bool {
	bare := record.Undecodable != nil
	outage := newOutage(c.log, "dead-lettering a record", record.Offset)
	send := func() error {
		// An attempt may outlast the session: what was sent is better committed.
		ctx, cancel := context.WithTimeout(c.drainCtx, publishTimeout)
		defer cancel()
		return c.group.dlqProducer.Send(ctx, []kafka.Record{newDeadLetter(c.group.cfg, record, bare, attempts, cause)})
	}
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
