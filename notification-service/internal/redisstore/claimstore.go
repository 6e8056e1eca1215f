// Package redisstore keeps in Redis what notification-service must remember across
// restarts: claims (leases, sent and rejected notifications, the last delivery) and the
// offsets of its consumer.
package redisstore

import (
	"context"
	"crypto/rand"
	_ "embed"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/notification-service/internal/notify"
	"example.com/todo/platform/failpoint"
)

const (
	// dedupKeyTTL is how long a sent notification is recognised by its event.
	dedupKeyTTL = 24 * time.Hour
	// rejectionTTL is how long a rejection is kept after the last one. It is longer
	// than a restart; after a longer pause the rejection period restarts.
	rejectionTTL = 5 * time.Minute
)

var (
	//go:embed claim.lua
	claimLua string

	claimScript = goredis.NewScript(claimLua)
)

// ClaimStore implements notify.ClaimStore in Redis, under the keys
// processed:<dedup key>, notification:refused:<dedup key> and notification:sent.
// Its clock is that of Redis.
type ClaimStore struct {
	client   goredis.UniversalClient
	prefix   string
	ownClaim string // the value of a dedup key that this process holds
	lease    time.Duration
	log      *slog.Logger
}

// NewClaimStore returns the claim store of a new, random owner, under prefix.
// Another process may take over a claim after the lease, so the lease must be well
// above the timeout of one send. Keys that another program overwrote are logged and
// ignored.
func NewClaimStore(client goredis.UniversalClient, prefix string, lease time.Duration, log *slog.Logger) *ClaimStore {
	return &ClaimStore{client: client, prefix: prefix, ownClaim: "claimed by " + rand.Text(), lease: lease, log: log}
}

// Acquire implements notify.ClaimStore.
func (c *ClaimStore) Acquire(ctx context.Context, key string) (notify.Claim, error) {
	return c.runClaimScript(ctx, "acquire", key, key)
}

// RecordSent implements notify.ClaimStore.
func (c *ClaimStore) RecordSent(ctx context.Context, key, next string) (notify.Claim, error) {
	failpoint.Hit(failpoint.AfterSend, key)
	if next == "" {
		return c.runClaimScript(ctx, "record", key, key)
	}
	return c.runClaimScript(ctx, "both", key, next)
}

// RecordRejection implements notify.ClaimStore.
func (c *ClaimStore) RecordRejection(ctx context.Context, key string, since time.Time) error {
	if err := c.client.Set(ctx, c.rejectedKey(key), since.UnixMilli(), rejectionTTL).Err(); err != nil {
		return fmt.Errorf("record the rejection of %s: %w", key, err)
	}
	return nil
}

func (c *ClaimStore) runClaimScript(ctx context.Context, steps, sent, next string) (notify.Claim, error) {
	keys := []string{c.prefix + "notification:sent", c.processedKey(sent), c.processedKey(next), c.rejectedKey(next)}
	reply, err := claimScript.Run(ctx, c.client, keys, steps, c.ownClaim, c.lease.Milliseconds(), dedupKeyTTL.Milliseconds()).StringSlice()
	if err != nil {
		action := "record as sent"
		if steps == "acquire" {
			action = "acquire"
		}
		return notify.Claim{}, fmt.Errorf("%s %s: %w", action, sent, err)
	}
	for _, key := range reply[4:] {
		c.log.ErrorContext(ctx, "another program overwrote what is known of a notification: continuing without it, and it may be sent twice", "key", key)
	}
	switch {
	case steps == "record":
		return notify.Claim{}, nil
	case reply[0] == "sent":
		return notify.Claim{State: notify.AlreadySent}, nil
	case reply[0] == "leased":
		return notify.Claim{State: notify.LeasedByOther}, nil
	}
	failpoint.Hit(failpoint.AfterClaim, next)
	return notify.Claim{
		State: notify.Acquired, ClaimedAt: parseMillis(reply[1]), RejectedSince: parseMillis(reply[2]), LastDelivery: parseMillis(reply[3]),
	}, nil
}

func (c *ClaimStore) processedKey(key string) string { return c.prefix + "processed:" + key }
func (c *ClaimStore) rejectedKey(key string) string  { return c.prefix + "notification:refused:" + key }

// parseMillis returns the zero time for an empty text.
func parseMillis(text string) time.Time {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
