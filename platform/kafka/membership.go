package kafka

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// reportTTL is how long the group is not ready after Sarama reported an error
// that is not about the connection: what goes on is reported again by then.
const reportTTL = 10 * time.Second

// membership knows whether the group is a member and reads its partitions, and
// says when that changes.
type membership struct {
	log *slog.Logger

	unreadablePartitions sync.Map // by partition: why it cannot be read on
	lastReport           atomic.Pointer[reportedError]

	mu         sync.Mutex
	everJoined bool  // at least once
	away       error // why it is not a member now
	since      time.Time
}

// loseReplies notes that membership could not be had or kept. Only the first of a row
// is logged.
func (p *membership) left(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away == nil {
		p.since = time.Now()
		p.log.Warn("can not read from Kafka now; trying again", "error", err)
	}
	p.away = err
}

func (p *membership) joined() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away != nil {
		p.log.Info("reading from Kafka again", "after", time.Since(p.since).Round(time.Millisecond))
	}
	p.everJoined, p.away = true, nil
}

func (p *membership) hasJoined() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.everJoined
}

// reportedError is an error that Sarama reported on the side.
type reportedError struct {
	err error
	at  time.Time
}

// readyErr returns nil while the group is a member and reads all its partitions.
func (p *membership) readyErr() (err error) {
	if err = p.memberErr(); err != nil {
		return err
	}
	if last := p.lastReport.Load(); last != nil && time.Since(last.at) < reportTTL {
		return last.err
	}
	p.unreadablePartitions.Range(func(partition, why any) bool {
		err = fmt.Errorf("partition %d cannot be read on: %w", partition, why.(error))
		return false
	})
	return err
}

func (p *membership) memberErr() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.away != nil:
		return p.away
	case !p.everJoined:
		return errors.New("the consumer group has not been joined yet")
	default:
		return nil
	}
}
