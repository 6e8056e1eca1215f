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

// pauseTTL is how long the live count is held at most: a rebuild that is nearly
// there needs a fraction of it, and one that dies leaves it behind.
const pauseTTL = 5 * time.Second

var (
	//go:embed pause.lua
	pauseLua string
	//go:embed swap.lua
	swapLua string

	pauseScript = goredis.NewScript(pauseLua)
	swapScript  = goredis.NewScript(swapLua)
)

// Shadow is a count beside the live one, to take its place. Nobody reads it
// before, and what is left of one that never did goes away within 24 h.
type Shadow struct {
	live, store *Store
	generation  string
	token       string
}

// NewShadow returns an empty shadow of s. The token is that of the lock
// RebuildLock, without which the live count is not touched.
func (s *Store) NewShadow(token string) *Shadow {
	generation := rebuildPrefix + rand.Text()[:12] // it is in the name of each mark, and in it
	return &Shadow{live: s, store: s.shadow(generation), generation: generation, token: token}
}

// Store returns where the shadow counts.
func (s *Shadow) Store() *Store { return s.store }

// Live returns where the live count stands, for each partition that it has begun.
func (s *Shadow) LivePositions(ctx context.Context) (map[int32]stats.Position, error) {
	offsets, err := s.readHash(ctx, s.live.offsets())
	if err != nil {
		return nil, err
	}
	origins, err := s.readHash(ctx, s.live.incarnations())
	if err != nil {
		return nil, err
	}
	return parsePositions(offsets, origins), nil
}

func (s *Shadow) readHash(ctx context.Context, key string) ([]string, error) {
	fields, err := s.live.client.HGetAll(ctx, key).Result()
	if err != nil && !goredis.HasErrorPrefix(err, "WRONGTYPE") { // of another type it was overwritten
		return nil, fmt.Errorf("read where the live count stands: %w", err)
	}
	flat := make([]string, 0, 2*len(fields))
	for field, value := range fields {
		flat = append(flat, field, value)
	}
	return flat, nil
}

// Hold is Live, and makes the live count stay there until the swap, for some
// seconds at most. The error is stats.ErrUnlocked when the lock is no longer ours.
func (s *Shadow) Pause(ctx context.Context) (map[int32]stats.Position, error) {
	keys := []string{s.live.RebuildLock(), s.live.pauseKey(), s.live.offsets(), s.live.incarnations()}
	answer, err := pauseScript.Run(ctx, s.live.client, keys, s.token, pauseTTL.Milliseconds()).Slice()
	if errors.Is(err, goredis.Nil) {
		return nil, stats.ErrLockLost
	}
	if err != nil {
		return nil, fmt.Errorf("hold the live count: %w", err)
	}
	offsets, ok1 := answer[0].([]any)
	origins, ok2 := answer[1].([]any)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("hold the live count: strange answer %v", answer)
	}
	return parsePositions(toStrings(offsets), toStrings(origins)), nil
}

// parsePositions takes the origins that belong to the count's generation.
func parsePositions(offsets, origins []string) map[int32]stats.Position {
	generation := ""
	for i := 0; i+1 < len(offsets); i += 2 {
		if offsets[i] == "generation" {
			generation = offsets[i+1]
		}
	}
	places := make(map[int32]stats.Position)
	for partition, offset := range parseOffsets(offsets) {
		places[partition] = stats.Position{Offset: offset}
	}
	for i := 0; i+1 < len(origins); i += 2 {
		origin, own := strings.CutPrefix(origins[i+1], generation+" ")
		partition, err := strconv.ParseInt(origins[i], 10, 32)
		if place, begun := places[int32(partition)]; err == nil && begun && own {
			place.Incarnation = origin
			places[int32(partition)] = place
		}
	}
	return places
}

// Swap puts the shadow in the place of the live count, in one step. Nothing is
// changed, and the error is stats.ErrBehind, when the live count has gone
// further, unless it stands at the offset that foreign has for the partition, which
// is of another log; stats.ErrMoved, when the shadow is not whole any more; or
// stats.ErrUnlocked. After another error it may or may not be done, and may be
// asked for again; what changed is not known then.
func (s *Shadow) Swap(ctx context.Context, foreign map[int32]int64) (stats.SwapResult, error) {
	live, own := s.live, s.store
	keys := []string{
		live.RebuildLock(), live.pauseKey(), live.offsets(), live.targets(), live.total(), live.days(), live.incarnations(),
		own.offsets(), own.targets(), own.total(), own.days(), own.incarnations(),
	}
	args := []any{s.token, s.generation, live.day(""), own.day("")}
	for partition, offset := range foreign {
		args = append(args, partition, offset)
	}
	answer, err := swapScript.Run(ctx, live.client, keys, args...).Slice()
	if err != nil {
		return stats.SwapResult{}, fmt.Errorf("swap the rebuild in: %w", err)
	}
	switch answer[0] {
	case "swapped":
		return parseSwapResult(answer[1:])
	case "behind":
		return stats.SwapResult{}, stats.ErrLiveAhead
	case "unlocked":
		return stats.SwapResult{}, stats.ErrLockLost
	default:
		return stats.SwapResult{}, stats.ErrOffsetMismatch
	}
}

func parseSwapResult(answer []any) (swap stats.SwapResult, err error) {
	if len(answer) == 0 {
		return stats.SwapResult{Unknown: true}, nil
	}
	_, err = fmt.Sscan(fmt.Sprintln(answer[:2]...), &swap.Before, &swap.After)
	for i := 2; i+2 < len(answer) && err == nil; i += 3 {
		var day stats.DayChange
		_, err = fmt.Sscan(fmt.Sprintln(answer[i:i+3]...), &day.Day, &day.Before, &day.After)
		swap.Days = append(swap.Days, day)
	}
	return swap, err
}
