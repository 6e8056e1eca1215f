// Package redisstore keeps in Redis what notification-service remembers: which
// notifications were sent, and how far each partition was handled.
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
	// dedupKeyTTL is how long a sent notification is recognised by its event's identity.
	dedupKeyTTL = 24 * time.Hour
	// rejectionTTL is how long a refusal is remembered after the last one. It
	// outlives a restart, and what was not tried for longer begins anew.
	rejectionTTL = 5 * time.Minute
)

var (
	//go:embed claim.lua
	claimLua string

	claimScript = goredis.NewScript(claimLua)
)

// ClaimStore is notify.Claims on Redis, under the keys processed:<mark>,
// notification:refused:<mark> and notification:sent. Its clock is that of Redis.
type ClaimStore struct {
	client goredis.UniversalClient
	prefix string
	ownClaim  string // the value of a mark that this process holds
	lease  time.Duration
	log    *slog.Logger
}

// NewClaimStore returns claims of a new, random owner, under prefix. A claim that is
// not done within the lease may be taken over; the lease must be well above the
// time that one sending may take. The log is told of keys that were overwritten from
// outside, and then count for nothing.
func NewClaimStore(client goredis.UniversalClient, prefix string, lease time.Duration, log *slog.Logger) *ClaimStore {
	return &ClaimStore{client: client, prefix: prefix, ownClaim: "claimed by " + rand.Text(), lease: lease, log: log}
}

// Claim implements notify.Claims.
func (c *ClaimStore) Acquire(ctx context.Context, mark string) (notify.Claim, error) {
	claim, err := c.runClaimScript(ctx, "claim", mark, mark)
	if err != nil {
		return notify.Claim{}, fmt.Errorf("claim %s: %w", mark, err)
	}
	return claim, nil
}

// Done implements notify.Claims.
func (c *ClaimStore) RecordSent(ctx context.Context, mark, next string) (notify.Claim, error) {
	failpoint.Hit(failpoint.AfterSend, mark)
	what := "both"
	if next == "" {
		what, next = "done", mark
	}
	claim, err := c.runClaimScript(ctx, what, mark, next)
	if err != nil {
		return notify.Claim{}, fmt.Errorf("mark %s as done: %w", mark, err)
	}
	return claim, nil
}

// Refuse implements notify.Claims.
func (c *ClaimStore) RecordRejection(ctx context.Context, mark string, since time.Time) error {
	if err := c.client.Set(ctx, c.refusedKey(mark), since.UnixMilli(), rejectionTTL).Err(); err != nil {
		return fmt.Errorf("remember the refusal of %s: %w", mark, err)
	}
	return nil
}

func (c *ClaimStore) runClaimScript(ctx context.Context, what, done, next string) (notify.Claim, error) {
	keys := []string{c.prefix + "notification:sent", c.processedKey(done), c.processedKey(next), c.refusedKey(next)}
	answer, err := claimScript.Run(ctx, c.client, keys, what, c.ownClaim, c.lease.Milliseconds(), dedupKeyTTL.Milliseconds()).StringSlice()
	if err != nil {
		return notify.Claim{}, err
	}
	for _, key := range answer[4:] {
		c.log.ErrorContext(ctx, "what is known of a notification was overwritten: going on without it, and it may be sent twice", "key", key)
	}
	switch {
	case what == "done":
		return notify.Claim{}, nil
	case answer[0] == "done":
		return notify.Claim{State: notify.AlreadySent}, nil
	case answer[0] == "busy":
		return notify.Claim{State: notify.LeasedByOther}, nil
	}
	failpoint.Hit(failpoint.AfterClaim, next)
	return notify.Claim{State: notify.Acquired, ClaimedAt: parseMillis(answer[1]), RejectedSince: parseMillis(answer[2]), LastDelivery: parseMillis(answer[3])}, nil
}

func (c *ClaimStore) processedKey(mark string) string    { return c.prefix + "processed:" + mark }
func (c *ClaimStore) refusedKey(mark string) string { return c.prefix + "notification:refused:" + mark }

// parseMillis reads what was written by us: milliseconds, or nothing.
func parseMillis(text string) time.Time {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
