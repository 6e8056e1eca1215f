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

// dedupKeyTTL is how long a completion is recognised by its event's identity, at
// another place in the log.
const dedupKeyTTL = 24 * time.Hour

// pausePollInterval is how soon a batch that was held is tried again.
const pausePollInterval = 20 * time.Millisecond

// What apply.lua answers beside a number of completions.
const (
	offsetMismatch = -1
	paused         = -2
)

var (
	//go:embed resume.lua
	resumeLua string
	//go:embed apply.lua
	applyLua string

	resumeScript = goredis.NewScript(resumeLua)
	applyScript  = goredis.NewScript(applyLua)
)

// Begin implements stats.Store.
func (s *Store) Resume(ctx context.Context, partition int32, log stats.LogRange) (stats.ResumePoint, error) {
	return s.runResumeScript(ctx, partition, log, "", stats.NothingKnown)
}

// Restart implements stats.Store.
func (s *Store) Reset(ctx context.Context, partition int32, log stats.LogRange, stored int64, why stats.RecountReason) (stats.ResumePoint, error) {
	b, err := s.runResumeScript(ctx, partition, log, strconv.FormatInt(stored, 10), why)
	b.Stored = stored
	return b, err
}

func (s *Store) runResumeScript(ctx context.Context, partition int32, log stats.LogRange, discard string, why stats.RecountReason) (stats.ResumePoint, error) {
	keys := []string{s.offsets(), s.targets(), s.total(), s.days(), s.incarnations()}
	answer, err := resumeScript.Run(ctx, s.client, keys,
		partition, log.Oldest, log.Newest, s.day(""), discard, s.newGeneration(), int(s.ttl.Seconds()), string(why), log.Incarnation).Slice()
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
	return stats.ResumePoint{Offset: offset, Incarnation: origin, Recount: stats.RecountReason(reason)}, nil
}

// Apply implements stats.Store. While counting is held, for a rebuild to be
// swapped in, it waits.
func (s *Store) Apply(ctx context.Context, b stats.Batch) (stats.Tally, error) {
	for {
		answer, err := s.runApplyScript(ctx, b)
		if generation, ok := answer.(string); ok && err == nil { // swapped in meanwhile
			s.generation.Store(&generation)
			continue
		}
		counted, ok := answer.(int64)
		switch {
		case err == nil && ok && counted == paused:
			if retry.Wait(ctx, pausePollInterval) {
				continue
			}
			err = ctx.Err()
		case err == nil && !ok:
			err = fmt.Errorf("strange answer %v", answer)
		case err == nil && counted == offsetMismatch:
			return stats.Tally{}, stats.ErrOffsetMismatch
		}
		if err != nil {
			return stats.Tally{}, fmt.Errorf("count offsets %d to %d of partition %d: %w", b.From, b.Next-1, b.Partition, err)
		}
		return stats.Tally{Counted: int(counted), Duplicates: len(b.Completions) - int(counted)}, nil
	}
}

func (s *Store) runApplyScript(ctx context.Context, b stats.Batch) (any, error) {
	var generation string
	if heard := s.generation.Load(); heard != nil {
		generation = *heard
	}
	keys := []string{s.offsets(), s.total(), s.days(), s.pauseKey(), s.incarnations()}
	args := []any{b.Partition, b.From, b.Next, int(dedupKeyTTL.Seconds()), int(s.ttl.Seconds()), generation, hasRebuildDedupKeys(generation), len(b.Completions), b.Incarnation}
	var days []string
	number := map[string]int{}
	for _, c := range b.Completions {
		if number[c.Day] == 0 {
			days = append(days, c.Day)
			number[c.Day] = len(days)
		}
		keys = append(keys, s.dedupKey(c.DedupKey))
		args = append(args, c.Offset, number[c.Day])
	}
	if hasRebuildDedupKeys(generation) {
		shadow := s.shadow(generation)
		for _, c := range b.Completions {
			keys = append(keys, shadow.dedupKey(c.DedupKey))
		}
	}
	for _, day := range days {
		keys = append(keys, s.day(day))
		args = append(args, day)
	}
	return applyScript.Run(ctx, s.client, keys, args...).Result()
}
