package redisstore

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/retry"
	"example.com/todo/stats-service/internal/stats"
)

// dedupKeyTTL is how long a copy of an event at another offset is recognised.
const dedupKeyTTL = 24 * time.Hour

// pausePollInterval is the delay before a paused batch is tried again. A pause lasts
// about 0.1 s.
const pausePollInterval = 20 * time.Millisecond

// The results of apply.lua that are not a number of completions.
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

// Resume implements stats.Store.
func (s *Store) Resume(ctx context.Context, partition int32, log stats.LogRange) (stats.ResumePoint, error) {
	return s.runResumeScript(ctx, partition, log, "", stats.NothingKnown)
}

// Reset implements stats.Store.
func (s *Store) Reset(ctx context.Context, partition int32, log stats.LogRange, stored int64, why stats.RecountReason) (stats.ResumePoint, error) {
	resume, err := s.runResumeScript(ctx, partition, log, strconv.FormatInt(stored, 10), why)
	resume.Stored = stored
	return resume, err
}

func (s *Store) runResumeScript(ctx context.Context, partition int32, log stats.LogRange, discard string, why stats.RecountReason) (stats.ResumePoint, error) {
	keys := []string{s.offsetsKey(), s.targetsKey(), s.totalKey(), s.daysKey(), s.incarnationsKey(), s.usersKey(), s.retiredKey()}
	reply, err := resumeScript.Run(ctx, s.client, keys,
		partition, log.Oldest, log.Newest, s.dayKey(""), discard, s.newGeneration(), int(s.ttl.Seconds()), string(why), log.Incarnation).Slice()
	if err != nil {
		return stats.ResumePoint{}, fmt.Errorf("resume partition %d: %w", partition, err)
	}
	offset, _ := reply[0].(int64)
	reason, _ := reply[1].(string)
	generation, _ := reply[2].(string)
	incarnation, _ := reply[3].(string)
	s.generation.Store(&generation)
	return stats.ResumePoint{Offset: offset, Incarnation: incarnation, Recount: stats.RecountReason(reason)}, nil
}

// Apply implements stats.Store. While a rebuild has paused the counters, it waits.
func (s *Store) Apply(ctx context.Context, b stats.Batch) (stats.Tally, error) {
	for {
		reply, err := s.runApplyScript(ctx, b)
		if err != nil {
			return stats.Tally{}, fmt.Errorf("count offsets %d to %d of partition %d: %w", b.From, b.Next-1, b.Partition, err)
		}
		if generation, swapped := reply.(string); swapped { // a rebuild was swapped in
			s.generation.Store(&generation)
			continue
		}
		switch counted, _ := reply.(int64); counted {
		case offsetMismatch:
			return stats.Tally{}, stats.ErrOffsetMismatch
		case paused:
			if !retry.Wait(ctx, pausePollInterval) {
				return stats.Tally{}, ctx.Err()
			}
		default:
			return stats.Tally{Counted: int(counted), Duplicates: len(b.Completions) - int(counted)}, nil
		}
	}
}

func (s *Store) runApplyScript(ctx context.Context, b stats.Batch) (any, error) {
	generation := s.knownGeneration()
	withRebuild := strings.HasPrefix(generation, rebuildPrefix)
	shadow := s.shadow(generation)
	keys := []string{s.offsetsKey(), s.totalKey(), s.daysKey(), s.pauseKey(), s.incarnationsKey(), s.usersKey()}
	args := []any{b.Partition, b.From, b.Next, int(dedupKeyTTL.Seconds()), int(s.ttl.Seconds()), generation, withRebuild, len(b.Completions), b.Incarnation}
	var days, users numbering
	var perCompletion []any
	for _, c := range b.Completions {
		keys = append(keys, s.dedupKey(c.DedupKey))
		user := 0
		if c.User != "" {
			user = users.number(c.User)
		}
		perCompletion = append(perCompletion, c.Offset, days.number(c.Day), user)
	}
	if withRebuild {
		for _, c := range b.Completions {
			keys = append(keys, shadow.dedupKey(c.DedupKey))
		}
	}
	args = append(append(args, len(days.names)), perCompletion...)
	for _, day := range days.names {
		keys = append(keys, s.dayKey(day))
		args = append(args, day)
	}
	for _, user := range users.names {
		keys = append(keys, s.userKey(user))
		args = append(args, user)
	}
	if withRebuild {
		for _, user := range users.names {
			keys = append(keys, shadow.userKey(user))
		}
	}
	return applyScript.Run(ctx, s.client, keys, args...).Result()
}

// knownGeneration returns the generation as last read from Redis, or "".
func (s *Store) knownGeneration() string {
	if known := s.generation.Load(); known != nil {
		return *known
	}
	return ""
}

// numbering numbers different names from 1, in the order of their first use.
type numbering struct {
	names   []string
	numbers map[string]int
}

func (n *numbering) number(name string) int {
	if n.numbers[name] == 0 {
		if n.numbers == nil {
			n.numbers = map[string]int{}
		}
		n.names = append(n.names, name)
		n.numbers[name] = len(n.names)
	}
	return n.numbers[name]
}
