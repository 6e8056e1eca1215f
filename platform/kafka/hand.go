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

// marking is how long writing a mark may take.
const marking = 2 * time.Second

// errTaken means that the partition has another reader, or the marks were lost.
var errTaken = errors.New("the mark of what is in hand was taken over by another, or lost")

// hand is a claim's side of its partition's mark. Every mark replaces the one
// that this claim wrote or found last and no other. So one that was frozen and
// wakes when another reads the partition finds a stranger's mark and can not
// replace it: nothing it believes counts against a record any more.
type hand struct {
	mark
	store     QuarantineStore // may be nil: then only this process knows
	partition int32
	log       PartitionLog
	step      func() int64

	stored string  // what the store has
	unsure *string // what it may have instead: the answer was lost
}

// takeOver makes the partition's mark the claim's own, and tells what its last
// reader left in hand. The log ends at end. spoiled says that the mark is no reader's:
// what it says that can be true counts all the same.
func (h *hand) takeOver(ctx context.Context, position, end int64) (left span, spoiled bool, err error) {
	if h.store == nil {
		return span{}, false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, marking)
	defer cancel()
	h.unsure = nil
	h.stored, err = h.store.Load(ctx, h.partition)
	if err != nil || h.stored == "" {
		return span{}, false, err
	}
	var found mark
	if json.Unmarshal([]byte(h.stored), &found) != nil {
		found, spoiled = mark{}, true // nothing is known
	}
	owned, err := h.log.Matches(ctx, found.Origin)
	if err != nil {
		return span{}, false, err
	}
	if !owned {
		found = mark{} // its offsets are of other records
	}
	found, all := found.within(end)
	holder := h.Holder
	h.mark = found.inherited(holder, position)
	h.Holder = holder
	return found.InHand.above(position), spoiled || !all, h.write(ctx)
}

// take notes that the records are about to be given to the handler.
func (h *hand) take(ctx context.Context, records []Record) error {
	h.InHand = reach(records)
	return h.save(ctx)
}

// release notes that the handler has nothing in hand.
func (h *hand) release(ctx context.Context) error {
	h.InHand = span{}
	return h.save(ctx)
}

// leave removes the mark, unless it says something that the next must know.
func (h *hand) leave(ctx context.Context) error {
	if !h.Suspects.empty() || h.Attempts > 0 {
		return h.release(ctx)
	}
	if h.store == nil || h.stored == "" && h.unsure == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), marking)
	defer cancel()
	return h.swap(ctx, "")
}

// save outlives the session: what it says is true all the same.
func (h *hand) save(ctx context.Context) error {
	if h.store == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), marking)
	defer cancel()
	return h.write(ctx)
}

func (h *hand) write(ctx context.Context) error {
	h.Step = h.step()
	text, err := json.Marshal(h.mark)
	if err != nil {
		return err
	}
	return h.swap(ctx, string(text))
}

func (h *hand) swap(ctx context.Context, next string) error {
	if err := h.makeSure(ctx); err != nil {
		return fmt.Errorf("find out what was written down: %w", err)
	}
	swapped, err := h.store.CompareAndSwap(ctx, h.partition, h.stored, next)
	switch {
	case err != nil:
		h.unsure = &next
		return fmt.Errorf("write down what is in hand: %w", err)
	case !swapped:
		return errTaken
	}
	h.stored = next
	return nil
}

// makeSure finds out whether the last mark was written.
func (h *hand) makeSure(ctx context.Context) error {
	if h.unsure == nil {
		return nil
	}
	found, err := h.store.Load(ctx, h.partition)
	if err != nil {
		return err
	}
	if found == *h.unsure {
		h.stored = found
	}
	h.unsure = nil
	return nil
}
