package kafka

import (
	"errors"
	"log/slog"
	"sync"
	"time"
)

// presence knows whether the group is a member, and says when that changes.
type presence struct {
	log *slog.Logger

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

func (p *presence) err() error {
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
