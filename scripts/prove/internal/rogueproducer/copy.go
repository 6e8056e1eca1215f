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
	// farthest is how many records may follow one before its copy does.
	farthest = 2000
	// atOnce bounds the records that are read in one go.
	atOnce = 1000
	// quiet is how long nothing comes until what waits for its turn is copied.
	quiet = 2 * time.Second
)

// due is a record to be copied when so many have been read.
type due struct {
	after  int
	record *kgo.Record
}

// Copy follows the topic from its beginning and writes that share of the events in
// it again, to the end of their partitions, some soon and some much later: the
// same key, value and headers. It ends without an error when ctx does; copies
// that were still to come are then let go. Called again it goes on where it was.
func (p *Planter) Copy(ctx context.Context, share float64) error {
	var waiting []due
	for read := 0; ; {
		fetches := p.poll(ctx)
		if ended := ctx.Err() != nil || fetches.IsClientClosed(); ended {
			return nil
		}
		if err := fatal(fetches); err != nil {
			return err
		}
		for _, r := range fetches.Records() {
			read++
			if p.eligible(r) && p.picks.Float64() < share {
				waiting = append(waiting, due{read + p.distance(), r})
			}
		}
		slices.SortStableFunc(waiting, func(a, b due) int { return cmp.Compare(a.after, b.after) })
		n := 0
		for n < len(waiting) && (waiting[n].after <= read || fetches.Empty()) {
			n++
		}
		if err := p.copy(ctx, waiting[:n]); err != nil && ctx.Err() == nil {
			return err
		}
		waiting = slices.Delete(waiting, 0, n)
	}
}

// poll returns what there is to read, or nothing when it is quiet.
func (p *Planter) poll(ctx context.Context) kgo.Fetches {
	ctx, cancel := context.WithTimeout(ctx, quiet)
	defer cancel()
	return p.client.PollRecords(ctx, atOnce)
}

// distance is how many records come between one and its copy. Half are near:
// evenly spread, nearly all would be far.
func (p *Planter) distance() int {
	d := p.picks.IntN(farthest)
	if p.picks.IntN(2) == 0 {
		d /= 100
	}
	return d
}

// eligible are the events of the system's own producer, each once.
func (p *Planter) eligible(r *kgo.Record) bool {
	here := spot{r.Partition, r.Offset}
	p.mu.Lock()
	copied := p.own[here]
	delete(p.own, here)
	p.mu.Unlock()
	return !copied && header(r, event.HeaderService) == event.Service && header(r, event.HeaderID) != "" && header(r, "replay-group") == ""
}

func (p *Planter) copy(ctx context.Context, these []due) error {
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
		planted := note(r, "copy")
		planted.EventID = header(r, event.HeaderID)
		p.copied = append(p.copied, planted)
		p.own[spot{r.Partition, r.Offset}] = true
	}
	return err
}

// fatal is the error for which reading ends: others pass.
func fatal(fetches kgo.Fetches) error {
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
