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

const (
	nearby  = 2_000 // records that are counted in a moment, for which the live count may be held
	rounds  = 30    // of catching up with a live count that goes on
	noLimit = math.MaxInt64
)

// Shadow is the count that a rebuild makes; see redisstore.Shadow.
type Shadow interface {
	Live(ctx context.Context) (map[int32]stats.Place, error)
	Hold(ctx context.Context) (map[int32]stats.Place, error)
	Swap(ctx context.Context, foreign map[int32]int64) (stats.Swap, error)
}

// Scan hands over what a topic has; see reader.Scan.
type Scan func(ctx context.Context, from map[int32]int64, visit func(context.Context, []kafka.Record) error) (map[int32]int64, error)

// Sources are what a rebuild reads. Oldest and Ends say where each of the log's
// partitions begins and ends, and Owns whether an origin is of it. Group is whose dead
// letters were never counted, and for whom records are replayed.
type Sources struct {
	Log, DeadLetters Scan
	Oldest, Ends     func(ctx context.Context) (map[int32]int64, error)
	Owns             func(ctx context.Context, origin string) (bool, error)
	Group            string
	AcceptGap        bool // count although the log's first records are gone
}

// Summary says what a rebuild found.
type Summary struct {
	Records    int64 // of the log
	Counted    int64
	Duplicates int64
	Unreadable int64
	Unknown    int64 // of unknown types
	NotOurs    int64 // dead-lettered, or replayed for another group
	Swap       stats.Swap
}

// ErrShadowLost says that what a rebuild had counted is gone.
var ErrShadowLost = errors.New("what was counted is no longer in Redis: was it emptied? The service then counts anew by itself")

// GapError says that a partition's first records are no longer in the log, so
// that a rebuild would forget what they counted.
type GapError struct {
	Partition int32
	Oldest    int64
}

func (e *GapError) Error() string {
	return fmt.Sprintf("partition %d begins at offset %d: the records before it are gone, and what they counted would be forgotten", e.Partition, e.Oldest)
}

// Rebuild counts the log anew into a shadow, exactly as far as the live count
// has come, and then lets the shadow take its place.
type Rebuild struct {
	counter  Counter // of the shadow
	shadow   Shadow
	sources  Sources
	progress func(done, all int64)

	at       map[int32]int64 // where each partition of the shadow stands, once begun
	reached  map[int32]bool  // in this round: what comes next is the live count's
	foreign  map[int32]int64 // where the live count stands in another log
	dead     map[corpse]bool
	deadNext map[int32]int64
	summary  Summary
}

// NewRebuild returns a rebuild that is run once. progress is told how many
// records were done with, and how many there are to do.
func NewRebuild(counter Counter, shadow Shadow, sources Sources, progress func(done, all int64)) *Rebuild {
	return &Rebuild{
		counter: counter, shadow: shadow, sources: sources, progress: progress,
		at: map[int32]int64{}, dead: map[corpse]bool{},
	}
}

// Run goes over the log in rounds, each as far as the live count has come by
// then. When little is left the live count is held for the last one, and the
// swap follows: so it never serves less than it did, unless that was of another log.
// Until then the live count goes on untouched, whatever the error.
func (r *Rebuild) Run(ctx context.Context) (Summary, error) {
	for range rounds {
		live, err := r.live(ctx, r.shadow.Live)
		if err != nil {
			return r.summary, err
		}
		last := r.left(live) <= nearby
		if last {
			if live, err = r.live(ctx, r.shadow.Hold); err != nil {
				return r.summary, err
			}
		}
		if err := r.round(ctx, live); err != nil {
			return r.summary, err
		}
		if !last {
			continue
		}
		r.summary.Swap, err = insist(ctx, func(ctx context.Context) (stats.Swap, error) {
			return r.shadow.Swap(ctx, r.foreign)
		})
		if errors.Is(err, stats.ErrOffsetMismatch) {
			err = ErrShadowLost
		}
		if !errors.Is(err, stats.ErrLiveAhead) {
			return r.summary, err
		}
	}
	return r.summary, fmt.Errorf("it did not catch up with the service in %d rounds: try again when less is written", rounds)
}

// live returns where the live count stands in this log. A place beyond the log's
// end, in a partition that it does not have or of another topic is foreign: the
// rebuild neither stops there nor waits for it.
func (r *Rebuild) live(ctx context.Context, ask func(context.Context) (map[int32]stats.Place, error)) (map[int32]int64, error) {
	places, err := insist(ctx, ask)
	if err != nil {
		return nil, err
	}
	// Asked for after the places: the live count may have gone on with the log.
	ends, err := r.sources.Ends(ctx)
	if err != nil {
		return nil, err
	}
	live := map[int32]int64{}
	r.foreign = map[int32]int64{}
	for partition, place := range places {
		owned, err := r.sources.Owns(ctx, place.Origin)
		if err != nil {
			return nil, err
		}
		if end, there := ends[partition]; owned && there && place.Offset <= end {
			live[partition] = place.Offset
		} else {
			r.foreign[partition] = place.Offset
		}
	}
	return live, nil
}

// left is how many records the live count is ahead.
func (r *Rebuild) left(live map[int32]int64) (records int64) {
	for partition, offset := range live {
		records += max(0, offset-r.at[partition])
	}
	return records
}

// round counts up to where the live count stands; in a partition that it has not
// begun, up to the log's end.
func (r *Rebuild) round(ctx context.Context, live map[int32]int64) error {
	// Asked for after the live count's place: what that passed over is known by now.
	deadNext, err := r.sources.DeadLetters(ctx, r.deadNext, r.collect)
	if err != nil {
		return err
	}
	r.deadNext = deadNext
	r.reached = map[int32]bool{}
	next, err := r.sources.Log(ctx, r.at, func(ctx context.Context, batch []kafka.Record) error {
		limit, begun := live[batch[0].Partition]
		if !begun {
			limit = noLimit
		}
		err := r.visit(ctx, batch, limit)
		r.report(live)
		return err
	})
	if err != nil {
		return err
	}
	for _, partition := range slices.Sorted(maps.Keys(next)) {
		limit, begun := live[partition]
		end := next[partition]
		if begun && (r.reached[partition] || end >= limit) {
			end = limit // the live count may have begun where records were deleted
		} else if r.reached[partition] {
			continue
		}
		if err := r.begin(ctx, partition, end); err != nil {
			return err
		}
		if err := r.count(ctx, partition, end, nil); err != nil {
			return err
		}
	}
	return nil
}

func (r *Rebuild) report(live map[int32]int64) {
	var all, done int64
	for _, offset := range live {
		all += offset
	}
	for _, offset := range r.at {
		done += offset
	}
	r.progress(done, max(all, done))
}
