package rogueproducer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/todo/contracts/event"
)

const (
	// maxCopyDistance is the maximum number of records between a record and its copy.
	maxCopyDistance = 2000
	// maxPollRecords bounds the records of one poll.
	maxPollRecords = 1000
	// idleTime without new records makes all scheduled copies due.
	idleTime = 2 * time.Second
)

// scheduledCopy is a record to be copied once dueAfter records have been read.
type scheduledCopy struct {
	dueAfter int
	record   *kgo.Record
}

// WriteCopies reads the topic from its beginning and writes a fraction of its events again, with
// the same key, value and headers, to the end of their partitions. Some copies follow soon, some
// much later. When ctx ends it drops the scheduled copies and returns nil; a later call continues
// at the same position.
func (p *Producer) WriteCopies(ctx context.Context, fraction float64) error {
	var waiting []scheduledCopy
	for read := 0; ; {
		fetches := p.poll(ctx)
		if ended := ctx.Err() != nil || fetches.IsClientClosed(); ended {
			return nil
		}
		if err := dataLoss(fetches); err != nil {
			return err
		}
		for _, r := range fetches.Records() {
			read++
			if p.isEligible(r) && p.copyRandom.Float64() < fraction {
				waiting = append(waiting, scheduledCopy{read + p.drawDistance(), r})
			}
		}
		slices.SortStableFunc(waiting, func(a, b scheduledCopy) int { return cmp.Compare(a.dueAfter, b.dueAfter) })
		n := 0
		for n < len(waiting) && (waiting[n].dueAfter <= read || fetches.Empty()) {
			n++
		}
		if err := p.writeDue(ctx, waiting[:n]); err != nil && ctx.Err() == nil {
			return err
		}
		waiting = slices.Delete(waiting, 0, n)
	}
}

// poll returns the next records, or nothing after idleTime.
func (p *Producer) poll(ctx context.Context) kgo.Fetches {
	ctx, cancel := context.WithTimeout(ctx, idleTime)
	defer cancel()
	return p.client.PollRecords(ctx, maxPollRecords)
}

// drawDistance draws the distance of a copy. A uniform distribution would make nearly all copies
// distant, so half are near.
func (p *Producer) drawDistance() int {
	d := p.copyRandom.IntN(maxCopyDistance)
	if p.copyRandom.IntN(2) == 0 {
		d /= 100
	}
	return d
}

// isEligible reports whether the record is an event of the system's own producer, which may be
// copied once.
func (p *Producer) isEligible(r *kgo.Record) bool {
	here := position{r.Partition, r.Offset}
	p.mu.Lock()
	isCopy := p.copyPositions[here]
	delete(p.copyPositions, here)
	p.mu.Unlock()
	return !isCopy && header(r, event.HeaderService) == event.Service && header(r, event.HeaderID) != "" && header(r, "replay-group") == ""
}

func (p *Producer) writeDue(ctx context.Context, these []scheduledCopy) error {
	if len(these) == 0 {
		return nil
	}
	records := make([]*kgo.Record, len(these))
	for i, d := range these {
		r := d.record
		records[i] = &kgo.Record{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers}
	}
	written, err := p.write(ctx, records)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range written {
		copied := injectedRecord(r, "copy")
		copied.EventID = header(r, event.HeaderID)
		p.copies = append(p.copies, copied)
		p.copyPositions[position{r.Partition, r.Offset}] = true
	}
	return err
}

// dataLoss returns the first error that means lost records; the client retries the others.
func dataLoss(fetches kgo.Fetches) error {
	var failed error
	fetches.EachError(func(topic string, partition int32, err error) {
		var lost *kgo.ErrDataLoss
		if errors.As(err, &lost) {
			failed = fmt.Errorf("rogue producer: %s/%d: %w", topic, partition, err)
		}
	})
	return failed
}

func header(r *kgo.Record, name string) string {
	for _, h := range slices.Backward(r.Headers) {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}
