package kafka

import (
	"context"
	"errors"
)

// Handler does the work of a consumer group.
type Handler interface {
	// Handle gets consecutive records of one partition. It returns how many it
	// handled, and the error about batch[handled]: a Permanent one sends that
	// record to the dead-letter topic, Fenced ends the session, which rejoins,
	// any other is passing and the rest of the batch is tried again, after
	// growing pauses. It is called for several partitions at once.
	Handle(ctx context.Context, batch []Record) (handled int, err error)
}

// Ledger is for a Handler that keeps the offsets itself, beside its effects.
type Ledger interface {
	// Start returns the offset at which the handler wants to begin, or a
	// negative one for the group's committed offset. oldest is the offset of the
	// first record in the log, newest that of the next to be written.
	Start(ctx context.Context, partition int32, oldest, newest int64) (offset int64, err error)
}

// Fenced is what a Handler returns when another member has moved its ledger on.
var Fenced = errors.New("another member owns this partition now") //nolint:revive,staticcheck // reads as kafka.Fenced

type permanentError struct{ err error }

func (e permanentError) Error() string { return e.err.Error() }
func (e permanentError) Unwrap() error { return e.err }

// Permanent marks an error that trying again will not cure.
func Permanent(err error) error { return permanentError{err} }
