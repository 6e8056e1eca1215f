package redisstore

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/retry"
	"example.com/todo/stats-service/internal/stats"
)

// keep is how long a completion is recognised by its event's identity, at
// another place in the log.
const keep = 24 * time.Hour

// holdCheck is how soon a batch that was held is tried again.
const holdCheck = 20 * time.Millisecond

// What apply.lua answers beside a number of completions.
const (
	moved = -1
	held  = -2
)

var (
	//go:embed begin.lua
	beginLua string
	//go:embed apply.lua
	applyLua string

	beginScript = goredis.NewScript(beginLua)
	applyScript = goredis.NewScript(applyLua)
)

// Begin implements stats.Store.
func (s *Store) Begin(ctx context.Context, partition int32, log stats.LogRange) (stats.ResumePoint, error) {
	return s.begin(ctx, partition, log, "", stats.NothingKnown)
}

// Restart implements stats.Store.
func (s *Store) Restart(ctx context.Context, partition int32, log stats.LogRange, stored int64, why stats.Recount) (stats.ResumePoint, error) {
	b, err := s.begin(ctx, partition, log, strconv.FormatInt(stored, 10), why)
	b.Stored = stored
	return b, err
}

func (s *Store) begin(ctx context.Context, partition int32, log stats.LogRange, discard string, why stats.Recount) (stats.ResumePoint, error) {
	keys := []string{s.offsets(), s.targets(), s.total(), s.days(), s.origins()}
	answer, err := beginScript.Run(ctx, s.client, keys,
		partition, log.Oldest, log.Newest, s.day(""), discard, s.names(), int(s.lifetime.Seconds()), string(why), log.Origin).Slice()
	if err != nil {
		return stats.ResumePoint{}, fmt.Errorf("begin with partition %d: %w", partition, err)
	}
	offset, ok1 := answer[0].(int64)
	reason, ok2 := answer[1].(string)
	generation, ok3 := answer[2].(string)
	origin, ok4 := answer[3].(string)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return stats.ResumePoint{}, fmt.Errorf("begin with partition %d: strange answer %v", partition, answer)
	}
	s.generation.Store(&generation)
	return stats.ResumePoint{Offset: offset, Origin: origin, Recount: stats.Recount(reason)}, nil
}

// Apply implements stats.Store. While counting is held, for a rebuild to be
// swapped in, it waits.
func (s *Store) Apply(ctx context.Context, b stats.Batch) (stats.Tally, error) {
	for {
		answer, err := s.apply(ctx, b)
		if generation, ok := answer.(string); ok && err == nil { // swapped in meanwhile
			s.generation.Store(&generation)
			continue
		}
		counted, ok := answer.(int64)
		switch {
		case err == nil && ok && counted == held:
			if retry.Wait(ctx, holdCheck) {
				continue
			}
			err = ctx.Err()
		case err == nil && !ok:
			err = fmt.Errorf("strange answer %v", answer)
		case err == nil && counted == moved:
			return stats.Tally{}, stats.ErrOffsetMismatch
		}
		if err != nil {
			return stats.Tally{}, fmt.Errorf("count offsets %d to %d of partition %d: %w", b.From, b.Next-1, b.Partition, err)
		}
		return stats.Tally{Counted: int(counted), Duplicates: len(b.Completions) - int(counted)}, nil
	}
}

func (s *Store) apply(ctx context.Context, b stats.Batch) (any, error) {
	var generation string
	if heard := s.generation.Load(); heard != nil {
		generation = *heard
	}
	keys := []string{s.offsets(), s.total(), s.days(), s.hold(), s.origins()}
	args := []any{b.Partition, b.From, b.Next, int(keep.Seconds()), int(s.lifetime.Seconds()), generation, twins(generation), len(b.Completions), b.Origin}
	var days []string
	number := map[string]int{}
	for _, c := range b.Completions {
		if number[c.Day] == 0 {
			days = append(days, c.Day)
			number[c.Day] = len(days)
		}
		keys = append(keys, s.mark(c.Mark))
		args = append(args, c.Offset, number[c.Day])
	}
	if twins(generation) {
		shadow := s.shadow(generation)
		for _, c := range b.Completions {
			keys = append(keys, shadow.mark(c.Mark))
		}
	}
	for _, day := range days {
		keys = append(keys, s.day(day))
		args = append(args, day)
	}
	return applyScript.Run(ctx, s.client, keys, args...).Result()
}
