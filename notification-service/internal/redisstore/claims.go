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
	// keep is how long a sent notification is recognised by its event's identity.
	keep = 24 * time.Hour
	// keepRefusal is how long a refusal is remembered after the last one. It
	// outlives a restart, and what was not tried for longer begins anew.
	keepRefusal = 5 * time.Minute
)

var (
	//go:embed step.lua
	stepLua string

	stepScript = goredis.NewScript(stepLua)
)

// Claims is notify.Claims on Redis, under the keys processed:<mark>,
// notification:refused:<mark> and notification:sent. Its clock is that of Redis.
type Claims struct {
	client goredis.UniversalClient
	prefix string
	claim  string // the value of a mark that this process holds
	lease  time.Duration
	log    *slog.Logger
}

// NewClaims returns claims of a new, random owner, under prefix. A claim that is
// not done within the lease may be taken over; the lease must be well above the
// time that one sending may take. The log is told of keys that were overwritten from
// outside, and then count for nothing.
func NewClaims(client goredis.UniversalClient, prefix string, lease time.Duration, log *slog.Logger) *Claims {
	return &Claims{client: client, prefix: prefix, claim: "claimed by " + rand.Text(), lease: lease, log: log}
}

// Claim implements notify.Claims.
func (c *Claims) Claim(ctx context.Context, mark string) (notify.Claim, error) {
	claim, err := c.step(ctx, "claim", mark, mark)
	if err != nil {
		return notify.Claim{}, fmt.Errorf("claim %s: %w", mark, err)
	}
	return claim, nil
}

// Done implements notify.Claims.
func (c *Claims) Done(ctx context.Context, mark, next string) (notify.Claim, error) {
	failpoint.Hit(failpoint.AfterSend, mark)
	what := "both"
	if next == "" {
		what, next = "done", mark
	}
	claim, err := c.step(ctx, what, mark, next)
	if err != nil {
		return notify.Claim{}, fmt.Errorf("mark %s as done: %w", mark, err)
	}
	return claim, nil
}

// Refuse implements notify.Claims.
func (c *Claims) RecordRejection(ctx context.Context, mark string, since time.Time) error {
	if err := c.client.Set(ctx, c.refused(mark), since.UnixMilli(), keepRefusal).Err(); err != nil {
		return fmt.Errorf("remember the refusal of %s: %w", mark, err)
	}
	return nil
}

func (c *Claims) step(ctx context.Context, what, done, next string) (notify.Claim, error) {
	keys := []string{c.prefix + "notification:sent", c.mark(done), c.mark(next), c.refused(next)}
	answer, err := stepScript.Run(ctx, c.client, keys, what, c.claim, c.lease.Milliseconds(), keep.Milliseconds()).StringSlice()
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
	return notify.Claim{State: notify.Acquired, At: moment(answer[1]), Refused: moment(answer[2]), Sent: moment(answer[3])}, nil
}

func (c *Claims) mark(mark string) string    { return c.prefix + "processed:" + mark }
func (c *Claims) refused(mark string) string { return c.prefix + "notification:refused:" + mark }

// moment reads what was written by us: milliseconds, or nothing.
func moment(text string) time.Time {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
