package kafka

import (
	"context"
	"errors"
	"fmt"
)

// Handler does the work of a consumer group.
type Handler interface {
	// Handle gets consecutive records of one partition; those that replay for
	// another group are left out. It returns how many it handled, and the error
	// about batch[handled]. Without an error that is at least one, and the rest is
	// given to Handle again at once: a handler that takes long does not exhaust the
	// group's patience, which is a minute. A Permanent error sends that record to
	// the dead-letter topic, Fenced ends the session, which rejoins; any other is
	// passing, and the rest is given to Handle again, after growing pauses, holding
	// the partition. A panic is passing too, but the records then come one at a
	// time, and one that panics five times is dead-lettered. Other failures in
	// between, however many, do not count towards these five.
	//
	// It runs for several partitions at once. When the session ends, ctx lives
	// on for five seconds, so that the batch in hand can be finished. A call that
	// does not return within twelve seconds of ctx's end ends the process.
	Handle(ctx context.Context, batch []Record) (handled int, err error)
}

// OffsetStore is for a Handler that keeps its place itself, beside its effects. The
// group's own offset then only follows.
type OffsetStore interface {
	// StartOffset returns the offset at which the handler wants to begin, or a
	// negative one for the group's committed offset. log.Oldest is the log's start,
	// log.Newest its last stable offset: below that every record is committed or
	// aborted. A stored offset belongs to this log only if log.Owns says so of the
	// origin stored beside it. It is asked when a session begins, again and again
	// until it answers without an error.
	//
	// An idle partition asks every five seconds whether the place is still the
	// handler's own. What the handler was not shown (dead letters, replays for
	// others, aborted records, transaction markers) moves the group on and the
	// ledger not. So an answer is right when it lies between where the handler was
	// left (the answer at the session's beginning, or the offset after the last
	// handled record) and the offset of the next record to read; a negative one is no
	// opinion. Anything else means that the ledger was moved or lost: the session
	// ends, rejoins and asks again.
	StartOffset(ctx context.Context, partition int32, log PartitionLog) (offset int64, err error)
}

// SkipObserver is for a Ledger that keeps up with what the handler was not shown:
// dead letters, replays for other groups, aborted records and transaction markers.
// Without it their place is lost with the session, and a dead letter at the log's
// end is written again.
type SkipObserver interface {
	// Skipped says that there is nothing left to do below next. It is called for
	// the last records of a batch, or of what was done of it when the session
	// ended, and for offsets without a record at the log's end; for the others the
	// next Handle tells it as well. Fenced ends the
	// session, and after any other error it is called again when the partition
	// is idle.
	Skipped(ctx context.Context, partition int32, next int64) error
}

// ErrFenced is what a Handler returns when its ledger is not where it left it:
// another member has moved on, or the ledger was lost.
var ErrFenced error = fenced{}

type fenced struct{}

func (fenced) Error() string { return "the partition's ledger has been moved by another" }

// Permanent marks an error that no repetition will cure. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

type permanent struct{ error }

func (e permanent) Unwrap() error { return e.error }

// panicked is what a handler's panic is turned into.
type panicked struct {
	value any
	stack []byte
}

func (e *panicked) Error() string { return fmt.Sprintf("panic: %v", e.value) }

func isPermanent(err error) bool {
	var marked permanent
	return errors.As(err, &marked)
}

func isPanic(err error) bool {
	var caught *panicked
	return errors.As(err, &caught)
}
