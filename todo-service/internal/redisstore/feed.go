package redisstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/contracts/event"
	"example.com/todo/todo-service/internal/eventcodec"
	"example.com/todo/todo-service/internal/task"
)

const (
	// idleTimeout is how long a subscription may be silent before a PING is sent, and
	// then how long its answer may take.
	idleTimeout = 5 * time.Second
	// publishBatch is how many events are published in one round trip, for which the
	// client's timeouts hold: at most some 600 kB, with the longest titles.
	publishBatch = 100
)

// Feed publishes events to every replica over Redis pub/sub, on the channel
// <prefix>task-events. It is a hint and never the record: Redis keeps no message for a
// subscriber that is away.
type Feed struct {
	client      goredis.UniversalClient
	channel     string
	idleTimeout time.Duration
}

// NewFeed returns the feed on the channel that begins with prefix.
func NewFeed(client goredis.UniversalClient, prefix string) *Feed {
	return &Feed{client: client, channel: prefix + event.Topic, idleTimeout: idleTimeout}
}

// Publish publishes the batch in its order. A message is the event in its wire format
// with two more members, "seq" and "log". After an error any part may have been
// published.
func (f *Feed) Publish(ctx context.Context, batch []task.Announcement) error {
	for some := range slices.Chunk(batch, publishBatch) {
		_, err := f.client.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
			for _, a := range some {
				message, err := encodeAnnouncement(a)
				if err != nil {
					return err
				}
				pipe.Publish(ctx, f.channel, message)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("publish to %s: %w", f.channel, err)
		}
	}
	return nil
}

// Subscribe calls onEvent for each announcement, in the order of the channel, until
// ctx ends (nil) or the connection fails (an error: subscribe again). It calls onGap
// whenever announcements may have been missed: when the subscription begins, and for a
// message that cannot be decoded. Both run in this goroutine and must not block.
func (f *Feed) Subscribe(ctx context.Context, onGap func(), onEvent func(task.Announcement)) error {
	sub := f.client.Subscribe(ctx, f.channel)
	defer sub.Close()
	stop := context.AfterFunc(ctx, func() { _ = sub.Close() }) // a read that waits does not watch ctx
	defer stop()

	for pinged := false; ; {
		message, err := sub.ReceiveTimeout(ctx, f.idleTimeout)
		var timeout net.Error
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			pinged = false
		case errors.As(err, &timeout) && timeout.Timeout() && !pinged:
			if err := sub.Ping(ctx); err != nil {
				return fmt.Errorf("subscription to %s: %w", f.channel, err)
			}
			pinged = true
			continue
		default:
			return fmt.Errorf("subscription to %s: %w", f.channel, err)
		}
		switch message := message.(type) {
		case *goredis.Subscription:
			onGap()
		case *goredis.Message:
			if a, err := decodeAnnouncement(message.Payload); err == nil {
				onEvent(a)
			} else {
				onGap()
			}
		}
	}
}

// encodeAnnouncement adds the event's seq and the name of its log: all databases of a
// Redis share the channel, and another log may use it.
func encodeAnnouncement(a task.Announcement) ([]byte, error) {
	message, err := eventcodec.ToContract(a.Event).Marshal()
	if err != nil {
		return nil, fmt.Errorf("encode announcement %d: %w", a.Seq, err)
	}
	return fmt.Appendf(bytes.TrimSuffix(message, []byte("}")), `,"seq":%d,"log":%q}`, a.Seq, a.Log), nil
}

func decodeAnnouncement(payload string) (task.Announcement, error) {
	var position struct {
		Seq int64  `json:"seq"`
		Log string `json:"log"`
	}
	err := json.Unmarshal([]byte(payload), &position)
	if err != nil || position.Seq < 1 {
		return task.Announcement{}, errors.New("an announcement has a seq")
	}
	parsed, err := event.Parse([]byte(payload))
	if err != nil {
		return task.Announcement{}, err
	}
	e, err := eventcodec.FromContract(parsed)
	return task.Announcement{Log: position.Log, Seq: position.Seq, Event: e}, err
}
