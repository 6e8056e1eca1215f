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

// idleTimeout is how long a subscription may be silent before it is asked for a sign
// of life, and then how long that may take.
const idleTimeout = 5 * time.Second

// publishBatch is how many changes are announced in one round trip, for each of which
// the client's timeouts hold: some 600 kB when every title is as long and odd as it
// may be.
const publishBatch = 100

// Feed announces changes to every replica over Redis pub/sub, on the channel
// <prefix>task-events. It is a hint and never the record: Redis keeps nothing
// for a subscriber that is away.
type Feed struct {
	client      goredis.UniversalClient
	channel     string
	idleTimeout time.Duration
}

// NewFeed returns the feed on the channel that begins with prefix.
func NewFeed(client goredis.UniversalClient, prefix string) *Feed {
	return &Feed{client: client, channel: prefix + event.Topic, idleTimeout: idleTimeout}
}

// Publish announces the batch in its order. A message is the event in its wire form
// with two more fields, "seq" and "log": the channel is the same in all of Redis'
// databases, and others may use it. After an error any part may have been announced.
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

// Subscribe calls deliver for each announcement, in the order of the channel,
// until ctx ends (nil) or the connection fails (an error: subscribe again). It
// calls doubt whenever announcements may have been missed: once the subscription
// stands, and for a message that it can not read. Both are called from this
// goroutine and must not block.
func (f *Feed) Subscribe(ctx context.Context, doubt func(), deliver func(task.Announcement)) error {
	sub := f.client.Subscribe(ctx, f.channel)
	defer sub.Close()
	stop := context.AfterFunc(ctx, func() { _ = sub.Close() }) // a waiting read does not see ctx
	defer stop()

	for asked := false; ; {
		message, err := sub.ReceiveTimeout(ctx, f.idleTimeout)
		var timeout net.Error
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			asked = false
		case errors.As(err, &timeout) && timeout.Timeout() && !asked:
			if err := sub.Ping(ctx); err != nil {
				return fmt.Errorf("subscription to %s: %w", f.channel, err)
			}
			asked = true
			continue
		default:
			return fmt.Errorf("subscription to %s: %w", f.channel, err)
		}
		switch message := message.(type) {
		case *goredis.Subscription:
			doubt()
		case *goredis.Message:
			if a, err := decodeAnnouncement(message.Payload); err == nil {
				deliver(a)
			} else {
				doubt()
			}
		}
	}
}

func encodeAnnouncement(a task.Announcement) ([]byte, error) {
	message, err := eventcodec.ToContract(a.Event).Marshal()
	if err != nil {
		return nil, fmt.Errorf("encode announcement %d: %w", a.Seq, err)
	}
	return fmt.Appendf(bytes.TrimSuffix(message, []byte("}")), `,"seq":%d,"log":%q}`, a.Seq, a.Log), nil
}

func decodeAnnouncement(payload string) (task.Announcement, error) {
	var place struct {
		Seq int64  `json:"seq"`
		Log string `json:"log"`
	}
	if err := json.Unmarshal([]byte(payload), &place); err != nil {
		return task.Announcement{}, fmt.Errorf("decode announcement: %w", err)
	}
	parsed, err := event.Parse([]byte(payload))
	if err != nil {
		return task.Announcement{}, fmt.Errorf("decode announcement: %w", err)
	}
	e, err := eventcodec.FromContract(parsed)
	if err != nil {
		return task.Announcement{}, fmt.Errorf("decode announcement: %w", err)
	}
	if place.Seq < 1 {
		return task.Announcement{}, errors.New("decode announcement: no seq")
	}
	return task.Announcement{Log: place.Log, Seq: place.Seq, Event: e}, nil
}
