package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/retry"
)

// Handler does the work of a consumer group. It is called for several partitions at
// once.
type Handler interface {
	// Handle gets consecutive records of one partition, without replayed dead letters
	// that are meant for another group. It returns how many of them it handled, and the error about
	// batch[handled]. Without an error it handled at least one; the rest is given to
	// Handle again at once, so that a slow handler returns within the minute that one
	// call may take.
	//
	// A Permanent error dead-letters that record. ErrFenced ends the session, and the
	// member joins anew. Any other error is transient: the partition is held, and the
	// rest is given to Handle again after a growing delay. A panic is transient too,
	// but then the records come one at a time, and a record whose handling panics five
	// times is dead-lettered, however many other failures lie in between.
	//
	// ctx ends a minute after the call began, or five seconds after the session, so
	// that a batch in progress can be finished. If the call has not returned twelve
	// seconds after ctx's end, Run returns an error and the process must end.
	Handle(ctx context.Context, batch []kafka.Record) (handled int, err error)
}

// OffsetStore is implemented by a Handler that stores its offsets itself, beside their
// effects. The group's committed offset then only follows.
type OffsetStore interface {
	// StartOffset returns the offset to continue at, or a negative number to continue at
	// the group's committed offset. A stored offset belongs to this log only if
	// log.Matches the incarnation stored beside it. log.End is the last stable
	// offset: below it, every record is committed or aborted. StartOffset is called when
	// a session begins, until it returns without an error.
	//
	// An idle partition calls it every five seconds to verify the offset. The handler
	// gets no dead letters, replays for others, aborted records or transaction markers:
	// they move the group's offset but not the stored one. So an offset is right if it
	// lies between the handler's last one (StartOffset at the session's beginning, or
	// the offset after the last handled record) and the next record to read. A negative
	// one is right too. Any other means that the store was changed or lost: the session
	// ends, and the next one calls StartOffset.
	StartOffset(ctx context.Context, partition int32, log kafka.PartitionLog) (offset int64, err error)
}

// SkipObserver is implemented by an OffsetStore that also stores the offsets of what
// the handler does not get: dead letters, replays for other groups, aborted records and
// transaction markers. Without it these offsets are lost with the session, and a dead
// letter at the log's end is written again.
type SkipObserver interface {
	// Skipped says that everything below next is done. It is called for the last records
	// of a batch, or of the part that was done when the session ended, and for offsets
	// without a record at the log's end. Other offsets follow from the next call of
	// Handle. ErrFenced ends the session. After any other error Skipped is called again
	// when the partition is idle.
	Skipped(ctx context.Context, partition int32, next int64) error
}

// ErrFenced is what a Handler returns if its stored offset is not the one that it
// expects: another member has moved it, or the store was lost.
var ErrFenced = errors.New("the partition's stored offset was moved by another member, or lost")

// Permanent marks an error that no retry cures. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

type permanent struct{ error }

func (e permanent) Unwrap() error { return e.error }

func isPermanent(err error) bool {
	var marked permanent
	return errors.As(err, &marked)
}

// panicError is a recovered panic.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

func isPanic(err error) bool {
	var recovered *panicError
	return errors.As(err, &recovered)
}

// recoverPanic turns a panic of fn into its error.
func recoverPanic(fn func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{value: value, stack: debug.Stack()}
		}
	}()
	return fn()
}

// callStartOffset calls StartOffset; a panic becomes an error.
func callStartOffset(ctx context.Context, store OffsetStore, partition int32, log kafka.PartitionLog) (offset int64, err error) {
	err = recoverPanic(func() error {
		offset, err = store.StartOffset(ctx, partition, log)
		return err
	})
	return offset, err
}

// retryBackoff is the delay between the attempts of an operation that holds a
// partition, or of joining the group: 10 s at most, jitter included.
var retryBackoff = retry.Backoff{Min: 100 * time.Millisecond, Max: 6600 * time.Millisecond}

// newOutage returns the log lines of an operation that is retried and holds its
// partition meanwhile.
func newOutage(log *slog.Logger, operation string, offset int64) *retry.Outage {
	return retry.NewOutage(log.With("offset", offset),
		"kafka consumer: "+operation+" failed, holding the partition and retrying", "kafka consumer: "+operation+" succeeded")
}

// logPanic logs the stack if the error is a recovered panic.
func logPanic(log *slog.Logger, operation string, offset int64, err error) {
	var recovered *panicError
	if errors.As(err, &recovered) {
		log.Error("kafka consumer: "+operation+" panicked", "offset", offset, "error", err, "stack", string(recovered.stack))
	}
}
