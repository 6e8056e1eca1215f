package consumer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"time"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/reader"
	"example.com/todo/platform/retry"
	"example.com/todo/stats-service/internal/stats"
)

const (
	tries    = 30          // of one call of the store
	tryAgain = time.Second // after such a try
)

// corpse names a record that was dead-lettered: by what it says too, for the
// letter may be of an earlier topic of that name, and another record at its place.
type corpse struct {
	partition, offset int64
	content           [sha256.Size]byte
}

// collect notes what the live count passed over.
func (r *Rebuild) collect(_ context.Context, letters []kafka.Record) error {
	for _, letter := range letters {
		partition, err := strconv.ParseInt(letter.Header("original-partition"), 10, 32)
		offset, err2 := strconv.ParseInt(letter.Header("original-offset"), 10, 64)
		if err == nil && err2 == nil && letter.Header("consumer-group") == r.sources.Group {
			r.dead[corpse{partition, offset, letter.Fingerprint()}] = true
		}
	}
	return nil
}

// visit counts the batch's records below the limit.
func (r *Rebuild) visit(ctx context.Context, batch []kafka.Record, limit int64) error {
	partition := batch[0].Partition
	if err := r.begin(ctx, partition, batch[0].Offset); err != nil {
		return err
	}
	events, next := r.read(batch, limit)
	if err := r.count(ctx, partition, next, events); err != nil {
		return err
	}
	if next <= batch[len(batch)-1].Offset {
		r.reached[partition] = true
		return reader.SkipPartition
	}
	return nil
}

// read returns what counts, and the offset of the first record that is left to
// the live count: one at the limit, or, without a limit, one that is yet to be
// dead-lettered.
func (r *Rebuild) read(batch []kafka.Record, limit int64) (events []stats.Event, next int64) {
	for _, record := range batch {
		if record.Offset >= limit {
			return events, record.Offset
		}
		e, known, err := eventOf(record)
		switch {
		case r.isDead(record), !record.IsForGroup(r.sources.Group):
			r.summary.NotOurs++
		case err != nil && limit == noLimit:
			return events, record.Offset
		case err != nil:
			r.summary.Unreadable++
		case !known:
			r.summary.Unknown++
		default:
			events = append(events, e)
		}
		r.summary.Records++
	}
	return events, batch[len(batch)-1].Offset + 1
}

// isDead takes no fingerprint where nothing ever was dead-lettered.
func (r *Rebuild) isDead(record kafka.Record) bool {
	return len(r.dead) > 0 && r.dead[corpse{int64(record.Partition), record.Offset, record.Fingerprint()}]
}

// begin begins the partition, unless it has begun. first is the offset of the first
// record, or the log's end.
func (r *Rebuild) begin(ctx context.Context, partition int32, first int64) error {
	if _, begun := r.at[partition]; begun {
		return nil
	}
	// What lies before the first record was never counted when it is a transaction's
	// marker or was aborted, and is forgotten when it was deleted.
	start, err := r.sources.Oldest(ctx)
	if err != nil {
		return err
	}
	oldest := min(start[partition], first)
	if oldest > 0 && !r.sources.AcceptGap {
		return &GapError{Partition: partition, Oldest: oldest}
	}
	_, err = insist(ctx, func(ctx context.Context) (stats.ResumePoint, error) {
		return r.counter.Begin(ctx, partition, stats.LogRange{Oldest: oldest, Newest: oldest})
	})
	if err == nil {
		r.at[partition] = oldest
	}
	return err
}

// count counts the partition's records up to next. A try whose answer was lost
// may have counted: the next one then finds the partition moved, to next.
func (r *Rebuild) count(ctx context.Context, partition int32, next int64, events []stats.Event) error {
	from := r.at[partition]
	if next <= from {
		return nil
	}
	tally, err := insist(ctx, func(ctx context.Context) (stats.Tally, error) {
		return r.counter.Count(ctx, partition, from, next, events)
	})
	if errors.Is(err, stats.ErrOffsetMismatch) {
		var b stats.ResumePoint
		b, err = insist(ctx, func(ctx context.Context) (stats.ResumePoint, error) {
			return r.counter.Begin(ctx, partition, stats.LogRange{Oldest: from, Newest: next})
		})
		if err == nil && (b.Recount != stats.NoRecount || b.Offset != next) {
			err = ErrShadowLost
		}
	}
	if err != nil {
		return err
	}
	r.at[partition] = next
	r.summary.Counted += int64(tally.Counted)
	r.summary.Duplicates += int64(tally.Duplicates)
	return nil
}

// insist tries a call of the store again while it fails for a passing reason. A
// lock that is lost ends ctx, so it is not for long.
func insist[T any](ctx context.Context, call func(context.Context) (T, error)) (answer T, err error) {
	for range tries {
		answer, err = call(ctx)
		if err == nil || final(err) {
			return answer, err
		}
		if !retry.Wait(ctx, tryAgain) {
			return answer, fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
	return answer, err
}

func final(err error) bool {
	return errors.Is(err, stats.ErrOffsetMismatch) || errors.Is(err, stats.ErrLiveAhead) || errors.Is(err, stats.ErrLockLost)
}
