package redisstore

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/retry"
)

const (
	settleInterval  = time.Second // between looks for another generation
	settleBatchSize = 20          // users of one script, which reads their hashes whole
)

var (
	//go:embed settle.lua
	settleLua string

	settleScript = goredis.NewScript(settleLua)
)

// errUserLost is why settle.lua started a recount.
var errUserLost = errors.New("the counters of a user were missing or did not add up: recounting all partitions")

// Settler settles the hashes of the users each time other counters took effect, by a
// recount or a rebuild, and once at the start. Several replicas may do so at once.
type Settler struct {
	store *Store
	log   *slog.Logger
}

// NewSettler returns the settler of the store.
func NewSettler(store *Store, log *slog.Logger) *Settler { return &Settler{store: store, log: log} }

// Run settles until ctx ends.
func (s *Settler) Run(ctx context.Context) error {
	outage := retry.NewOutage(s.log, "the counters of the users cannot be settled", "the counters of the users can be settled again")
	settled := ""
	for {
		generation, err := s.store.settleUsers(ctx, settled)
		if err == nil {
			settled = generation
		}
		if ctx.Err() == nil {
			outage.Record(ctx, err)
		}
		if !retry.Wait(ctx, settleInterval) {
			return nil
		}
	}
}

// settleUsers settles all users unless the generation is settled, and returns the
// generation.
func (s *Store) settleUsers(ctx context.Context, settled string) (generation string, err error) {
	generation, err = s.client.HGet(ctx, s.offsetsKey(), "generation").Result()
	if errors.Is(err, goredis.Nil) { // nothing is counted, or a recount is about to start
		return "", nil
	}
	if err != nil || generation == settled {
		return generation, err
	}
	// Without users the script checks the sets. A user that is added meanwhile has a
	// settled hash.
	if current, err := s.settleBatch(ctx, generation, nil); !current || err != nil {
		return "", err
	}
	for _, set := range []string{s.usersKey(), s.retiredKey()} {
		for cursor, more := uint64(0), true; more; more = cursor != 0 {
			var users []string
			users, cursor, err = s.client.SScan(ctx, set, cursor, "", settleBatchSize).Result()
			if err != nil {
				return "", fmt.Errorf("list the users: %w", err)
			}
			if current, err := s.settleBatch(ctx, generation, users); !current || err != nil {
				return "", err
			}
		}
	}
	return generation, nil
}

// settleBatch settles some users. It does nothing and returns false if the generation is
// no longer current.
func (s *Store) settleBatch(ctx context.Context, generation string, users []string) (current bool, err error) {
	shadow := s.shadow(generation)
	keys := []string{s.offsetsKey(), s.usersKey(), s.retiredKey()}
	args := []any{generation}
	for _, user := range users {
		keys = append(keys, s.userKey(user), shadow.userKey(user))
		args = append(args, user)
	}
	result, err := settleScript.Run(ctx, s.client, keys, args...).Int()
	if err != nil {
		return false, fmt.Errorf("settle the counters of %d users: %w", len(users), err)
	}
	if result < 0 {
		return false, errUserLost
	}
	return result > 0, nil
}
