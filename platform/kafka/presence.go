package kafka

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// reportLasts is how long the group is not ready after Sarama reported an error
// that is not about the connection: what goes on is reported again by then.
const reportLasts = 10 * time.Second

// presence knows whether the group is a member and reads its partitions, and
// says when that changes.
type presence struct {
	log *slog.Logger

	unreadable sync.Map // by partition: why it cannot be read on
	reported   atomic.Pointer[report]

	mu     sync.Mutex
	joined bool  // at least once
	away   error // why it is not a member now
	since  time.Time
}

// lost notes that membership could not be had or kept. Only the first of a row
// is logged.
func (p *presence) lost(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away == nil {
		p.since = time.Now()
		p.log.Warn("can not read from Kafka now; trying again", "error", err)
	}
	p.away = err
}

func (p *presence) here() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away != nil {
		p.log.Info("reading from Kafka again", "after", time.Since(p.since).Round(time.Millisecond))
	}
	p.joined, p.away = true, nil
}

func (p *presence) wasHere() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.joined
}

// report is an error that Sarama reported on the side.
type report struct {
	err error
	at  time.Time
}

// err returns nil while the group is a member and reads all its partitions.
func (p *presence) err() (err error) {
	if err = p.membership(); err != nil {
		return err
	}
	if last := p.reported.Load(); last != nil && time.Since(last.at) < reportLasts {
		return last.err
	}
	p.unreadable.Range(func(partition, why any) bool {
		err = fmt.Errorf("partition %d cannot be read on: %w", partition, why.(error))
		return false
	})
	return err
}

func (p *presence) membership() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.away != nil:
		return p.away
	case !p.joined:
		return errors.New("the consumer group has not been joined yet")
	default:
		return nil
	}
}
