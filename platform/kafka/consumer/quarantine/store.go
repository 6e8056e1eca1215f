package quarantine

import (
	"context"
	"errors"
)

// Store keeps one text for each partition, outside the process. While it is
// unavailable, the partitions are held. If it is emptied, the crashes so far are
// forgotten.
type Store interface {
	// Load returns the partition's text, or "" if there is none.
	Load(ctx context.Context, partition int32) (text string, err error)
	// CompareAndSwap atomically replaces the partition's text if it still is old, and
	// reports whether it was. "" is no text.
	CompareAndSwap(ctx context.Context, partition int32, old, next string) (swapped bool, err error)
}

// ErrLostOwnership means that another member acquired the partition, or that the store
// was emptied.
var ErrLostOwnership = errors.New("the partition's in-flight marker was replaced by another member, or lost")
