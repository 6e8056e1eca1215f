package kafka

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// sockets dials for one Sarama client and can cut everything it dialled.
// Sarama's calls take no context and wait for their timeouts; with the sockets
// cut under them they return at once.
type sockets struct {
	dialling context.Context // Sarama's dialer interface passes none
	cancel   context.CancelFunc

	failures atomic.Int64 // of dialling, reading and writing
	opening  opening

	mu   sync.Mutex
	open map[*socket]struct{}
}

func newSockets() *sockets {
	dialling, cancel := context.WithCancel(context.Background())
	return &sockets{dialling: dialling, cancel: cancel, open: make(map[*socket]struct{})}
}

// Dial is Sarama's way in.
func (s *sockets) Dial(network, address string) (net.Conn, error) {
	dialer := net.Dialer{
		Timeout:         dialTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 3},
	}
	conn, err := dialer.DialContext(s.dialling, network, address)
	if err != nil {
		s.failures.Add(1)
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dialling.Err() != nil {
		s.failures.Add(1)
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	opened := &socket{Conn: conn, owner: s}
	s.open[opened] = struct{}{}
	return opened, nil
}

// cut closes every socket, and lets no new one be opened.
func (s *sockets) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel()
	for opened := range s.open {
		_ = opened.Conn.Close()
	}
	clear(s.open)
}

func (s *sockets) isCut() bool { return s.dialling.Err() != nil }

type socket struct {
	net.Conn
	owner *sockets
}

func (s *socket) Close() error {
	s.owner.mu.Lock()
	delete(s.owner.open, s)
	s.owner.mu.Unlock()
	return s.Conn.Close()
}

func (s *socket) Read(into []byte) (int, error) {
	count, err := s.Conn.Read(into)
	if err != nil {
		s.owner.failures.Add(1)
	}
	s.owner.opening.note(into[:count])
	return count, err
}

func (s *socket) Write(from []byte) (int, error) {
	count, err := s.Conn.Write(from)
	if err != nil {
		s.owner.failures.Add(1)
	}
	return count, err
}

// openingBytes is how much of a response is kept: its frame, with the aborted
// transactions of a partition, and the beginning of the first batch.
const openingBytes = 64 << 10

// opening keeps the beginning of a response as it was received. Sarama shows
// nothing of one that it cannot decode.
type opening struct {
	mu    sync.Mutex
	on    bool
	bytes []byte
}

// begin keeps what is received from now on.
func (o *opening) begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.on, o.bytes = true, nil
}

// end returns what was received since begin.
func (o *opening) end() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	kept := o.bytes
	o.on, o.bytes = false, nil
	return kept
}

func (o *opening) note(received []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.on {
		o.bytes = append(o.bytes, received[:min(len(received), openingBytes-len(o.bytes))]...)
	}
}
