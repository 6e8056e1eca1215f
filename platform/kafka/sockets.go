package kafka

import (
	"context"
	"net"
	"sync"
	"time"
)

// sockets dials for one Sarama client and can cut everything it dialled.
// Sarama's calls take no context and wait for their timeouts; with the sockets
// cut under them they return at once.
type sockets struct {
	dialling context.Context // Sarama's dialer interface passes none
	cancel   context.CancelFunc

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
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dialling.Err() != nil {
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
