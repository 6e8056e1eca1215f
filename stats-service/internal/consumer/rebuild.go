package consumer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"example.com/todo/platform/kafka"
	"example.com/todo/stats-service/internal/stats"
)

// Rebuild is a job that counts the log again in shadow counters, up to the live
// offsets, and swaps them in. It runs once, in one goroutine.
type Rebuild struct {
	counter  Counter // of the shadow counters
	shadow   Shadow
	sources  Sources
	progress func(done, all int64)

	position       map[int32]int64 // by started partition, the next offset to count
	limitReached   map[int32]bool  // in this round: the following records are the live handler's
	foreign        map[int32]int64 // live offsets that belong to another log
	deadLettered   map[deadLetterID]bool
	deadLetterNext map[int32]int64
	summary        Summary
}

const (
	maxPausedRecords = 2_000 // in the last round, while the live counters are paused; counted in about 0.1 s
	maxRounds        = 30    // before the rebuild gives up on a topic that grows as fast as it counts
	noLimit          = math.MaxInt64
)

// Shadow has the shadow counters of a rebuild; see redisstore.Shadow.
type Shadow interface {
	LivePositions(ctx context.Context, pause bool) (map[int32]stats.Position, error)
	Swap(ctx context.Context, foreign map[int32]int64) (stats.SwapResult, error)
}

// Summary is the result of a rebuild, in numbers of records.
type Summary struct {
	Records    int64 // of the log
	Counted    int64
	Duplicates int64
	Unreadable int64
	Unknown    int64 // of unknown types
	Excluded   int64 // dead-lettered, or replayed for another group
	Swap       stats.SwapResult
}

// The errors of a rebuild besides those of the store.
var (
	ErrTopicReplaced = errors.New("the topic was deleted and created again during the rebuild, so the counters have records of both")
	ErrShadowLost    = errors.New("the counters of the rebuild are no longer in Redis, perhaps because it was emptied; the service then recounts by itself")
	ErrGap           = errors.New("the records before it were deleted, and the rebuilt counters would miss them")
)

// NewRebuild returns a rebuild. It calls progress with the number of records that are
// done, and the number to do.
func NewRebuild(counter Counter, shadow Shadow, sources Sources, progress func(done, all int64)) *Rebuild {
	return &Rebuild{
		counter: counter, shadow: shadow, sources: sources, progress: progress,
		position: map[int32]int64{}, deadLettered: map[deadLetterID]bool{},
	}
}

// Run counts in rounds up to the live offsets, pauses the live counters for the last
// round, and swaps. The live counters change in the swap only. The total does not fall
// because of records that the rebuild has not reached, unless they were of another log.
func (r *Rebuild) Run(ctx context.Context) (Summary, error) {
	for range maxRounds {
		live, err := r.refreshLiveOffsets(ctx, false)
		last := err == nil && r.countRemaining(live) <= maxPausedRecords
		if last {
			live, err = r.refreshLiveOffsets(ctx, true)
		}
		if err == nil {
			err = r.runRound(ctx, live)
		}
		if err != nil {
			return r.summary, err
		}
		if !last {
			continue
		}
		r.summary.Swap, err = retryStore(ctx, func(ctx context.Context) (stats.SwapResult, error) {
			return r.shadow.Swap(ctx, r.foreign)
		})
		if errors.Is(err, stats.ErrOffsetMismatch) {
			err = ErrShadowLost
		}
		// The pause may have expired before the swap: then another round follows.
		if !errors.Is(err, stats.ErrLiveAhead) {
			return r.summary, err
		}
	}
	return r.summary, fmt.Errorf("the rebuild did not catch up with the service in %d rounds: try again when less is written", maxRounds)
}

// refreshLiveOffsets returns the live offsets in this log, and stores the others as
// foreign: beyond the log's end, in a partition that it does not have, or of another
// topic. The rebuild neither stops at a foreign offset nor waits for it.
func (r *Rebuild) refreshLiveOffsets(ctx context.Context, pause bool) (map[int32]int64, error) {
	positions, err := retryStore(ctx, func(ctx context.Context) (map[int32]stats.Position, error) {
		return r.shadow.LivePositions(ctx, pause)
	})
	if err != nil {
		return nil, err
	}
	// After the positions, because the live counters may have advanced with the log.
	ends, err := r.sources.LogEndOffsets(ctx)
	if err != nil {
		return nil, err
	}
	live := map[int32]int64{}
	r.foreign = map[int32]int64{}
	for partition, position := range positions {
		matches, err := r.sources.Matches(ctx, position.Incarnation)
		if err != nil {
			return nil, err
		}
		if end, exists := ends[partition]; matches && exists && position.Offset <= end {
			live[partition] = position.Offset
		} else {
			r.foreign[partition] = position.Offset
		}
	}
	return live, nil
}

// countRemaining returns how many records the live counters are ahead.
func (r *Rebuild) countRemaining(live map[int32]int64) (records int64) {
	for partition, offset := range live {
		records += max(0, offset-r.position[partition])
	}
	return records
}

// runRound counts each partition up to its live offset. A partition without one is
// counted up to the log's end.
func (r *Rebuild) runRound(ctx context.Context, live map[int32]int64) error {
	// After the live offsets, so that every dead letter below them is indexed.
	deadLetterNext, err := r.sources.DeadLetters(ctx, r.deadLetterNext, r.indexDeadLetters)
	if err != nil {
		return err
	}
	r.deadLetterNext = deadLetterNext
	r.limitReached = map[int32]bool{}
	next, err := r.sources.Log(ctx, r.position, func(ctx context.Context, batch []kafka.Record) error {
		limit, started := live[batch[0].Partition]
		if !started {
			limit = noLimit
		}
		err := r.countBatch(ctx, batch, limit)
		r.reportProgress(live)
		return err
	})
	if err != nil {
		return err
	}
	for _, partition := range slices.Sorted(maps.Keys(next)) {
		limit, started := live[partition]
		end := next[partition]
		if started && (r.limitReached[partition] || end >= limit) {
			end = limit // the live counters may have started where records were deleted
		} else if r.limitReached[partition] {
			continue
		}
		if err := r.countUpTo(ctx, partition, end, end, nil); err != nil {
			return err
		}
	}
	return nil
}

func (r *Rebuild) reportProgress(live map[int32]int64) {
	var all, done int64
	for _, offset := range live {
		all += offset
	}
	for _, offset := range r.position {
		done += offset
	}
	r.progress(done, max(all, done))
}
