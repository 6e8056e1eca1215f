package redisstore

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/stats-service/internal/stats"
)

// Shadow has the shadow counters of one rebuild. No reader uses them before the swap.
// If they are never swapped in, they expire within 24 h.
type Shadow struct {
	live, shadow *Store
	generation   string
	token        string
}

// pauseTTL is how long the live counters are paused at most. A last round takes a
// fraction of it; after a crash of the rebuild the pause expires.
const pauseTTL = 5 * time.Second

var (
	//go:embed live_positions.lua
	positionsLua string
	//go:embed swap.lua
	swapLua string

	positionsScript = goredis.NewScript(positionsLua)
	swapScript      = goredis.NewScript(swapLua)
)

// NewShadow returns empty shadow counters of s. The token is that of the rebuild lock. The
// shadow changes no live key without that lock.
func (s *Store) NewShadow(token string) *Shadow {
	generation := rebuildPrefix + rand.Text()[:12] // short, because each dedup key has it in its name and in its value
	return &Shadow{live: s, shadow: s.shadow(generation), generation: generation, token: token}
}

// Store returns the store of the shadow counters.
func (s *Shadow) Store() *Store { return s.shadow }

// LivePositions returns the live position of each partition that has one. With pause it
// also pauses the live counters until the swap, for pauseTTL at most. The error is
// stats.ErrLockLost when this rebuild lost its lock.
func (s *Shadow) LivePositions(ctx context.Context, pause bool) (map[int32]stats.Position, error) {
	keys := []string{s.live.RebuildLockKey(), s.live.pauseKey(), s.live.offsetsKey(), s.live.incarnationsKey()}
	var ttl time.Duration
	if pause {
		ttl = pauseTTL
	}
	reply, err := positionsScript.Run(ctx, s.live.client, keys, s.token, ttl.Milliseconds()).Slice()
	if errors.Is(err, goredis.Nil) {
		return nil, stats.ErrLockLost
	}
	if err != nil {
		return nil, fmt.Errorf("read the live positions: %w", err)
	}
	return parsePositions(toMap(reply[0]), toMap(reply[1])), nil
}

// parsePositions ignores an incarnation of another generation than that of the offsets.
func parsePositions(offsets, incarnations map[string]string) map[int32]stats.Position {
	prefix := offsets["generation"] + " "
	positions := make(map[int32]stats.Position, len(offsets))
	for partition, offset := range parseOffsets(offsets) {
		incarnation, current := strings.CutPrefix(incarnations[strconv.Itoa(int(partition))], prefix)
		if !current {
			incarnation = ""
		}
		positions[partition] = stats.Position{Offset: offset, Incarnation: incarnation}
	}
	return positions
}

// Swap replaces the live counters by the shadow counters in one step. foreign has, by
// partition, the live offsets that belong to another log. Nothing changes when the
// error is stats.ErrLiveAhead (an offset that is not foreign is ahead of the shadow's),
// stats.ErrOffsetMismatch (the shadow counters are incomplete) or stats.ErrLockLost.
// After another error the swap may have happened, and the caller may repeat the call;
// the result is then Unknown.
func (s *Shadow) Swap(ctx context.Context, foreign map[int32]int64) (stats.SwapResult, error) {
	live, shadow := s.live, s.shadow
	keys := []string{
		live.RebuildLockKey(), live.pauseKey(), live.retiredKey(),
		live.offsetsKey(), live.targetsKey(), live.totalKey(), live.daysKey(), live.incarnationsKey(), live.usersKey(),
		shadow.offsetsKey(), shadow.targetsKey(), shadow.totalKey(), shadow.daysKey(), shadow.incarnationsKey(), shadow.usersKey(),
	}
	args := []any{s.token, s.generation, live.dayKey(""), shadow.dayKey("")}
	for partition, offset := range foreign {
		args = append(args, partition, offset)
	}
	reply, err := swapScript.Run(ctx, live.client, keys, args...).Slice()
	if err != nil {
		return stats.SwapResult{}, fmt.Errorf("swap in the rebuild: %w", err)
	}
	switch reply[0] {
	case "swapped":
		return parseSwapResult(reply[1:])
	case "behind":
		return stats.SwapResult{}, stats.ErrLiveAhead
	case "unlocked":
		return stats.SwapResult{}, stats.ErrLockLost
	default:
		return stats.SwapResult{}, stats.ErrOffsetMismatch
	}
}

func parseSwapResult(reply []any) (swap stats.SwapResult, err error) {
	if len(reply) == 0 {
		return stats.SwapResult{Unknown: true}, nil
	}
	_, err = fmt.Sscan(fmt.Sprintln(reply[:2]...), &swap.Before, &swap.After)
	for i := 2; i+2 < len(reply) && err == nil; i += 3 {
		var day stats.DayChange
		_, err = fmt.Sscan(fmt.Sprintln(reply[i:i+3]...), &day.Day, &day.Before, &day.After)
		swap.Days = append(swap.Days, day)
	}
	return swap, err
}
