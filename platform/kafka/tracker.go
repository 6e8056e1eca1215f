package kafka

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Quarantine keeps for each partition a mark, outside the process: what the reader
// has in hand. With it a record that kills its process is found out, and
// dead-lettered after five deaths; without it such a record holds its partition
// until somebody removes it. A store that is away holds the partitions, one that
// was emptied has forgotten the deaths and does no other harm.
type QuarantineStore interface {
	// Load returns the partition's mark, or "" when there is none.
	Load(ctx context.Context, partition int32) (mark string, err error)
	// CompareAndSwap makes next the partition's mark if it still is old, in one step, and
	// tells whether it was. "" is no mark.
	CompareAndSwap(ctx context.Context, partition int32, old, next string) (swapped bool, err error)
}

// storeTimeout is how long writing a mark may take.
const storeTimeout = 2 * time.Second

// ErrLostOwnership means that the partition has another reader, or the marks were lost.
var ErrLostOwnership = errors.New("the mark of what is in hand was taken over by another, or lost")

// send is a claim's side of its partition's mark. Every mark replaces the one
// that this claim wrote or found last and no other. So one that was frozen and
// wakes when another reads the partition finds a stranger's mark and can not
// replace it: nothing it believes counts against a record any more.
type Tracker struct {
	State
	store        QuarantineStore // may be nil: then only this process knows
	partition    int32
	log          PartitionLog
	nextRevision func() int64

	stored    string  // what the store has
	uncertain *string // what it may have instead: the answer was lost
}

// Acquire makes the partition's mark the claim's own, and tells what its last
// reader left in hand. The log ends at end. spoiled says that the mark is no reader's:
// what it says that can be true counts all the same.
func (h *Tracker) Acquire(ctx context.Context, position, end int64) (left OffsetRange, spoiled bool, err error) {
	if h.store == nil {
		return OffsetRange{}, false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	h.uncertain = nil
	h.stored, err = h.store.Load(ctx, h.partition)
	if err != nil || h.stored == "" {
		return OffsetRange{}, false, err
	}
	var found State
	if json.Unmarshal([]byte(h.stored), &found) != nil {
		found, spoiled = State{}, true // nothing is known
	}
	owned, err := h.log.Matches(ctx, found.Incarnation)
	if err != nil {
		return OffsetRange{}, false, err
	}
	if !owned {
		found = State{} // its offsets are of other records
	}
	found, all := found.validated(end)
	holder := h.Owner
	h.State = found.takenOver(holder, position)
	h.Owner = holder
	return found.InFlight.from(position), spoiled || !all, h.writeState(ctx)
}

// appendRecords notes that the records are about to be given to the handler.
func (h *Tracker) Begin(ctx context.Context, records []Record) error {
	h.InFlight = rangeOf(records)
	return h.persist(ctx)
}

// End notes that the handler has nothing in hand.
func (h *Tracker) End(ctx context.Context) error {
	h.InFlight = OffsetRange{}
	return h.persist(ctx)
}

// Clear removes the mark, unless it says something that the next must know.
func (h *Tracker) Clear(ctx context.Context) error {
	if !h.Suspects.IsEmpty() || h.Attempts > 0 {
		return h.End(ctx)
	}
	if h.store == nil || h.stored == "" && h.uncertain == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	return h.compareAndSwap(ctx, "")
}

// persist outlives the session: what it says is true all the same.
func (h *Tracker) persist(ctx context.Context) error {
	if h.store == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	return h.writeState(ctx)
}

func (h *Tracker) writeState(ctx context.Context) error {
	h.Revision = h.nextRevision()
	text, err := json.Marshal(h.State)
	if err != nil {
		return err
	}
	return h.compareAndSwap(ctx, string(text))
}

func (h *Tracker) compareAndSwap(ctx context.Context, next string) error {
	if err := h.resolve(ctx); err != nil {
		return fmt.Errorf("find out what was written down: %w", err)
	}
	swapped, err := h.store.CompareAndSwap(ctx, h.partition, h.stored, next)
	switch {
	case err != nil:
		h.uncertain = &next
		return fmt.Errorf("write down what is in hand: %w", err)
	case !swapped:
		return ErrLostOwnership
	}
	h.stored = next
	return nil
}

// resolve finds out whether the last mark was written.
func (h *Tracker) resolve(ctx context.Context) error {
	if h.uncertain == nil {
		return nil
	}
	found, err := h.store.Load(ctx, h.partition)
	if err != nil {
		return err
	}
	if found == *h.uncertain {
		h.stored = found
	}
	h.uncertain = nil
	return nil
}
