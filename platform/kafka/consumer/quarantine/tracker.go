package quarantine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"example.com/todo/platform/kafka"
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

// storeTimeout bounds each operation of the store.
const storeTimeout = 2 * time.Second

// Tracker owns the state of one partition for one session. It is for one goroutine.
type Tracker struct {
	State
	store        Store // nil if only this process remembers
	partition    int32
	log          kafka.PartitionLog
	nextRevision func() int64

	stored    string  // what the store has
	uncertain *string // what the store may have instead: the reply to a swap was lost
}

// NewTracker returns the tracker of a partition. The owner names the process's group;
// no two states of an owner may have the same revision. A nil store is allowed.
func NewTracker(store Store, owner string, nextRevision func() int64, partition int32, log kafka.PartitionLog) Tracker {
	return Tracker{State: State{Owner: owner}, store: store, partition: partition, log: log, nextRevision: nextRevision}
}

// Acquire makes the partition's state the tracker's own and returns the offsets that
// the previous owner left in flight, from the position on. The log ends at end. corrupt
// reports that the stored text was not written by a tracker; the possible part of it
// counts. The error is ErrLostOwnership if another member was faster.
func (t *Tracker) Acquire(ctx context.Context, position, end int64) (left OffsetRange, corrupt bool, err error) {
	if t.store == nil {
		return OffsetRange{}, false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	t.uncertain = nil
	t.stored, err = t.store.Load(ctx, t.partition)
	if err != nil || t.stored == "" {
		return OffsetRange{}, false, err
	}
	var found State
	if json.Unmarshal([]byte(t.stored), &found) != nil {
		found, corrupt = State{}, true
	}
	matches, err := t.log.Matches(ctx, found.Incarnation)
	if err != nil {
		return OffsetRange{}, false, err
	}
	if !matches {
		found = State{} // its offsets belong to an earlier topic
	}
	found, valid := found.validated(end)
	owner := t.Owner
	t.State = found.takenOver(owner, position)
	t.Owner = owner
	return found.InFlight.from(position), corrupt || !valid, t.persist(ctx)
}

// Begin stores that the records are about to be given to the handler.
func (t *Tracker) Begin(ctx context.Context, records []kafka.Record) error {
	t.Incarnation = records[0].Incarnation()
	t.InFlight = rangeOf(records)
	return t.persist(ctx)
}

// End stores that the handler has no records.
func (t *Tracker) End(ctx context.Context) error {
	t.InFlight = OffsetRange{}
	return t.persist(ctx)
}

// Clear removes the state from the store, unless the next owner must know of suspects
// or attempts.
func (t *Tracker) Clear(ctx context.Context) error {
	if !t.Suspects.IsEmpty() || t.Attempts > 0 {
		return t.End(ctx)
	}
	if t.stored == "" && t.uncertain == nil {
		return nil
	}
	return t.compareAndSwap(ctx, "")
}

func (t *Tracker) persist(ctx context.Context) error {
	t.Revision = t.nextRevision()
	text, err := json.Marshal(t.State)
	if err != nil {
		return err
	}
	return t.compareAndSwap(ctx, string(text))
}

// compareAndSwap works even after the session: the state is true until then.
func (t *Tracker) compareAndSwap(ctx context.Context, next string) error {
	if t.store == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if err := t.resolve(ctx); err != nil {
		return fmt.Errorf("find out whether the in-flight marker was stored: %w", err)
	}
	swapped, err := t.store.CompareAndSwap(ctx, t.partition, t.stored, next)
	switch {
	case err != nil:
		t.uncertain = &next
		return fmt.Errorf("store the in-flight marker: %w", err)
	case !swapped:
		return ErrLostOwnership
	}
	t.stored = next
	return nil
}

// resolve finds out whether the last swap, whose reply was lost, took effect.
func (t *Tracker) resolve(ctx context.Context) error {
	if t.uncertain == nil {
		return nil
	}
	found, err := t.store.Load(ctx, t.partition)
	if err != nil {
		return err
	}
	if found == *t.uncertain {
		t.stored = found
	}
	t.uncertain = nil
	return nil
}
