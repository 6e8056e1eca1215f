// Package redisstore keeps in Redis what notification-service remembers: which
// notifications were sent, and how far each partition was handled.
package redisstore

import (
	"context"
	"crypto/rand"
	_ "embed"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/notification-service/internal/notify"
)

// keep is how long a sent notification is recognised by its event's identity.
const keep = 24 * time.Hour

var (
	//go:embed claim.lua
	claimLua string
	//go:embed done.lua
	doneLua string

	claimScript = goredis.NewScript(claimLua)
	doneScript  = goredis.NewScript(doneLua)
)

// Claims is notify.Claims on Redis, under the keys processed:<mark>.
type Claims struct {
	client goredis.UniversalClient
	prefix string
	claim  string // the value of a mark that this process holds
	lease  time.Duration
}

// NewClaims returns claims of a new, random owner, under prefix. A claim that is
// not done within the lease may be taken over; the lease must be well above the
// time that one sending may take.
func NewClaims(client goredis.UniversalClient, prefix string, lease time.Duration) *Claims {
	return &Claims{client: client, prefix: prefix, claim: "claimed by " + rand.Text(), lease: lease}
}

// Claim implements notify.Claims.
func (c *Claims) Claim(ctx context.Context, mark string) (notify.State, error) {
	answer, err := claimScript.Run(ctx, c.client, []string{c.key(mark)}, c.claim, c.lease.Milliseconds()).Text()
	if err != nil {
		return 0, fmt.Errorf("claim %s: %w", mark, err)
	}
	switch answer {
	case "mine":
		return notify.Mine, nil
	case "done":
		return notify.Done, nil
	default:
		return notify.Busy, nil
	}
}

// Done implements notify.Claims.
func (c *Claims) Done(ctx context.Context, mark string) error {
	if err := doneScript.Run(ctx, c.client, []string{c.key(mark)}, c.claim, keep.Milliseconds()).Err(); err != nil {
		return fmt.Errorf("mark %s as done: %w", mark, err)
	}
	return nil
}

func (c *Claims) key(mark string) string { return c.prefix + "processed:" + mark }
