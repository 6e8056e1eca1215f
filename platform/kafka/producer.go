package kafka

import (
	"context"
	"errors"
)

// Producer sends records, each acknowledged by all in-sync replicas.
type Producer struct{ cfg Config }

// NewProducer returns a producer that connects when it is first used.
func NewProducer(cfg Config) *Producer { return &Producer{cfg: cfg} }

// Send writes the records, those of one partition in the order given, and
// returns when all are acknowledged. After an error any prefix of each
// partition's records may have been written.
func (p *Producer) Send(ctx context.Context, records []Record) error {
	return errors.New("kafka: not connected")
}

// Close gives the connections back.
func (p *Producer) Close() error { return nil }
