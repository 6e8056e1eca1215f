package consumer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"time"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/headers"
	"example.com/todo/platform/kafka/reader"
	"example.com/todo/platform/retry"
	"example.com/todo/stats-service/internal/stats"
)

// The attempts of one call to the store last half a minute: longer than a restart of
// Redis, and as long as the rebuild's lock.
const (
	maxStoreAttempts = 30
	storeRetryDelay  = time.Second
)

// deadLetterID identifies a dead-lettered record. The fingerprint is part of it, because
// a dead letter of an earlier topic of that name may have the same offset.
type deadLetterID struct {
	partition, offset int64
	fingerprint       [sha256.Size]byte
}

// indexDeadLetters stores which records the live handler dead-lettered.
func (r *Rebuild) indexDeadLetters(_ context.Context, deadLetters []kafka.Record) error {
	for _, deadLetter := range deadLetters {
		partition, err := strconv.ParseInt(deadLetter.Header(headers.OriginalPartition), 10, 32)
		offset, err2 := strconv.ParseInt(deadLetter.Header(headers.OriginalOffset), 10, 64)
		if err == nil && err2 == nil && deadLetter.Header(headers.ConsumerGroup) == r.sources.Group {
			r.deadLettered[deadLetterID{partition, offset, deadLetter.Fingerprint()}] = true
		}
	}
	return nil
}

// countBatch counts the batch's records below the limit. It returns
// reader.SkipPartition when it left out any.
func (r *Rebuild) countBatch(ctx context.Context, batch []kafka.Record, limit int64) error {
	partition := batch[0].Partition
	events, next := r.selectEvents(batch, limit)
	if err := r.countUpTo(ctx, partition, batch[0].Offset, next, events); err != nil {
		return err
	}
	if next <= batch[len(batch)-1].Offset {
		r.limitReached[partition] = true
		return reader.SkipPartition
	}
	return nil
}

// selectEvents returns the events to count, and the offset of the first record that it
// leaves to the live handler: one at the limit or, without a limit, one that the live
// handler has yet to dead-letter.
func (r *Rebuild) selectEvents(batch []kafka.Record, limit int64) (events []stats.Event, next int64) {
	for _, record := range batch {
		if record.Offset >= limit {
			return events, record.Offset
		}
		e, err := decodeEvent(record)
		switch {
		case r.isDeadLettered(record), !record.IsForGroup(r.sources.Group):
			r.summary.Excluded++
		case err != nil && limit == noLimit:
			return events, record.Offset
		case err != nil:
			r.summary.Unreadable++
		case !isKnown(e):
			r.summary.Unknown++
		default:
			events = append(events, e)
		}
		r.summary.Records++
	}
	return events, batch[len(batch)-1].Offset + 1
}

// isDeadLettered only computes a fingerprint when there are dead letters.
func (r *Rebuild) isDeadLettered(record kafka.Record) bool {
	return len(r.deadLettered) > 0 && r.deadLettered[deadLetterID{int64(record.Partition), record.Offset, record.Fingerprint()}]
}

// startPartition starts counting the partition at the log's start, unless it has
// started. first is the offset of the first record, or the log's end.
func (r *Rebuild) startPartition(ctx context.Context, partition int32, first int64) error {
	if _, started := r.position[partition]; started {
		return nil
	}
	// The log may start before the first record, with transaction markers and aborted
	// records. A start above 0 means that records were deleted.
	start, err := r.sources.OldestOffsets(ctx)
	if err != nil {
		return err
	}
	oldest := min(start[partition], first)
	if oldest > 0 && !r.sources.AcceptGap {
		return fmt.Errorf("partition %d starts at offset %d: %w", partition, oldest, ErrGap)
	}
	_, err = retryStore(ctx, func(ctx context.Context) (stats.ResumePoint, error) {
		return r.counter.Resume(ctx, partition, stats.LogRange{Oldest: oldest, Newest: oldest})
	})
	if err == nil {
		r.position[partition] = oldest
	}
	return err
}

// countUpTo counts the events of the partition's records up to next. first is as for
// startPartition.
func (r *Rebuild) countUpTo(ctx context.Context, partition int32, first, next int64, events []stats.Event) error {
	if err := r.startPartition(ctx, partition, first); err != nil {
		return err
	}
	from := r.position[partition]
	if next <= from {
		return nil
	}
	tally, err := retryStore(ctx, func(ctx context.Context) (stats.Tally, error) {
		return r.counter.Count(ctx, partition, from, next, events)
	})
	if errors.Is(err, stats.ErrOffsetMismatch) {
		// An attempt whose reply was lost may have counted: the stored offset is next then.
		var resume stats.ResumePoint
		resume, err = retryStore(ctx, func(ctx context.Context) (stats.ResumePoint, error) {
			return r.counter.Resume(ctx, partition, stats.LogRange{Oldest: from, Newest: next})
		})
		if err == nil && (resume.Recount != stats.NoRecount || resume.Offset != next) {
			err = ErrShadowLost
		}
	}
	if err != nil {
		return err
	}
	r.position[partition] = next
	r.summary.Counted += int64(tally.Counted)
	r.summary.Duplicates += int64(tally.Duplicates)
	return nil
}

// retryStore calls the store until it succeeds, fails with an error that a retry cannot
// change, or has failed maxStoreAttempts times. The error is the last one, after the
// cause of ctx when that has ended; a lost lock ends ctx.
func retryStore[T any](ctx context.Context, call func(context.Context) (T, error)) (result T, err error) {
	for range maxStoreAttempts {
		result, err = call(ctx)
		switch {
		case err == nil,
			errors.Is(err, stats.ErrOffsetMismatch), errors.Is(err, stats.ErrLiveAhead), errors.Is(err, stats.ErrLockLost):
			return result, err
		case !retry.Wait(ctx, storeRetryDelay):
			return result, fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
	return result, err
}
