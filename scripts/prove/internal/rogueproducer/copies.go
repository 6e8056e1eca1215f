package rogueproducer

import (
	"context"
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

// scheduledCopy is the copy of a record, to be written once dueAfter records have been read.
type scheduledCopy struct {
	dueAfter int
	record   *kgo.Record
}

// WriteCopies reads the topic from its beginning and writes a fraction of its events again, with
// the same key, value and headers, to the end of their partitions. Some copies follow soon, some
// much later. When ctx ends it drops the scheduled copies and returns nil.
func (p *Producer) WriteCopies(ctx context.Context, fraction float64) error {
	var waiting []scheduledCopy
	seen := map[string]bool{} // event ids; that of a copy is its original's
	for read := 0; ctx.Err() == nil; {
		fetches := p.poll(ctx)
		for _, r := range fetches.Records() {
			read++
			id := header(r, event.HeaderID)
			if id == "" || seen[id] || header(r, event.HeaderService) != event.Service || header(r, "replay-group") != "" {
				continue
			}
			seen[id] = true
			if p.copyRandom.Float64() < fraction {
				record := &kgo.Record{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers}
				waiting = append(waiting, scheduledCopy{read + p.drawDistance(), record})
			}
		}
		var due []*kgo.Record
		waiting = slices.DeleteFunc(waiting, func(c scheduledCopy) bool {
			isDue := c.dueAfter <= read || fetches.Empty()
			if isDue {
				due = append(due, c.record)
			}
			return isDue
		})
		if err := p.writeCopies(ctx, due); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// poll returns the next records, or nothing after idleTime. The client retries errors.
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

func (p *Producer) writeCopies(ctx context.Context, records []*kgo.Record) error {
	written, err := p.write(ctx, records)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range written {
		copied := injectedRecord(r, "copy")
		copied.EventID = header(r, event.HeaderID)
		p.copies = append(p.copies, copied)
	}
	return err
}

func header(r *kgo.Record, name string) string {
	for _, h := range slices.Backward(r.Headers) {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}
