package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/IBM/sarama"
)

// surveyor asks where a topic's partitions end, over a connection of its own: on
// the consumer's it would wait behind other requests.
type surveyor struct {
	cfg    Config
	topic  string
	turn   chan struct{} // held by whoever uses the rest
	conn   *Client
	closed bool
}

func newSurveyor(cfg Config, topic string) *surveyor {
	return &surveyor{cfg: cfg, topic: topic, turn: make(chan struct{}, 1)}
}

// logBounds returns each partition's last stable offset.
func (s *surveyor) ends(ctx context.Context) (ends map[int32]int64, err error) {
	err = s.ask(ctx, func() (err error) {
		ends, err = s.requestEnds()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ask for the ends of topic %q: %w", s.topic, err)
	}
	return ends, nil
}

func (s *surveyor) requestEnds() (map[int32]int64, error) {
	partitions, err := s.conn.Partitions(s.topic)
	if err != nil {
		return nil, err
	}
	ends := make(map[int32]int64, len(partitions))
	for _, partition := range partitions {
		end, err := s.conn.GetOffset(s.topic, partition, sarama.OffsetNewest)
		if err != nil {
			return nil, err
		}
		ends[partition] = end
	}
	return ends, nil
}

func (s *surveyor) topicID(ctx context.Context) (id string, err error) {
	err = s.ask(ctx, func() error {
		id, err = topicID(s.conn, s.topic)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("ask for the id of topic %q: %w", s.topic, err)
	}
	return id, nil
}

// HasRecord tells whether the log has a record of that fingerprint at the offset. It
// gives the benefit of the doubt when the record is not to be had any more: the log
// may have dropped it.
func (s *surveyor) holds(ctx context.Context, partition int32, offset int64, fingerprint string) (holds bool, err error) {
	err = s.ask(ctx, func() error {
		holds, err = s.conn.HasRecord(TopicPartition{s.topic, partition}, offset, fingerprint)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("look for the record at %d of partition %d of topic %q: %w", offset, partition, s.topic, err)
	}
	return holds, nil
}

// askOffsetStore puts a question over the connection, one at a time.
func (s *surveyor) ask(ctx context.Context, question func() error) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.closed {
		return net.ErrClosed
	}
	if s.conn == nil || s.conn.sockets.isClosed() {
		conn, err := connect(s.cfg)
		if err != nil {
			return err
		}
		s.conn = conn
	}
	defer s.conn.abortOn(ctx)()
	err := question()
	if err != nil {
		s.disconnect()
		if ctx.Err() != nil {
			err = errors.Join(ctx.Err(), err)
		}
	}
	return err
}

func (s *surveyor) disconnect() {
	if s.conn != nil {
		s.conn.close()
		s.conn = nil
	}
}

func (s *surveyor) close() {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	s.closed = true
	s.disconnect()
}
