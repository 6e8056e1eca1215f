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
	// maxCopyDistance is how many records may follow one before its copy does.
	maxCopyDistance = 2000
	// maxPollRecords bounds the records that are read in one go.
	maxPollRecords = 1000
	// idleTime is how long nothing comes until what waits for its turn is copied.
	idleTime = 2 * time.Second
)

// scheduledCopy is a record to be copied when so many have been read.
type scheduledCopy struct {
	dueAfter int
	record   *kgo.Record
}

// WriteCopies follows the topic from its beginning and writes that share of the events in
// it again, to the end of their partitions, some soon and some much later: the
// same key, value and headers. It ends without an error when ctx does; copies
// that were still to come are then let go. Called again it goes on where it was.
func (p *Producer) WriteCopies(ctx context.Context, share float64) error {
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
			if p.isEligible(r) && p.copyRandom.Float64() < share {
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

// poll returns what there is to read, or nothing when it is quiet.
func (p *Producer) poll(ctx context.Context) kgo.Fetches {
	ctx, cancel := context.WithTimeout(ctx, idleTime)
	defer cancel()
	return p.client.PollRecords(ctx, maxPollRecords)
}

// drawDistance is how many records come between one and its copy. Half are near:
// evenly spread, nearly all would be far.
func (p *Producer) drawDistance() int {
	d := p.copyRandom.IntN(maxCopyDistance)
	if p.copyRandom.IntN(2) == 0 {
		d /= 100
	}
	return d
}

// isEligible are the events of the system's own producer, each once.
func (p *Producer) isEligible(r *kgo.Record) bool {
	here := position{r.Partition, r.Offset}
	p.mu.Lock()
	copied := p.copyPositions[here]
	delete(p.copyPositions, here)
	p.mu.Unlock()
	return !copied && header(r, event.HeaderService) == event.Service && header(r, event.HeaderID) != "" && header(r, "replay-group") == ""
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
		planted := injectedRecord(r, "copy")
		planted.EventID = header(r, event.HeaderID)
		p.copies = append(p.copies, planted)
		p.copyPositions[position{r.Partition, r.Offset}] = true
	}
	return err
}

// dataLoss is the error for which reading ends: others pass.
func dataLoss(fetches kgo.Fetches) error {
	var failed error
	fetches.EachError(func(topic string, partition int32, err error) {
		var lost *kgo.ErrDataLoss
		if errors.As(err, &lost) {
			failed = fmt.Errorf("planter: %s/%d: %w", topic, partition, err)
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
