package kafka

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// dialer dials for one Sarama client and can cut everything it dialled.
// Sarama's calls take no context and wait for their timeouts; with the sockets
// cut under them they return at once. They see what Sarama sends and receives as
// it is: TLS would have to be spoken beneath them, in Dial.
type dialer struct {
	dialling context.Context // Sarama's dialer interface passes none
	cancel   context.CancelFunc

	failures atomic.Int64                      // of dialling, reading and writing
	awaited  atomic.Pointer[responseInspector] // of the next response; nil where none is inspected

	mu   sync.Mutex
	open map[*trackedConn]struct{}
}

func newSockets() *dialer {
	dialling, cancel := context.WithCancel(context.Background())
	return &dialer{dialling: dialling, cancel: cancel, open: make(map[*trackedConn]struct{})}
}

// Dial is Sarama's way in.
func (s *dialer) Dial(network, address string) (net.Conn, error) {
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
	opened := &trackedConn{Conn: conn, owner: s}
	s.open[opened] = struct{}{}
	return opened, nil
}

// unreachable closes every socket, and lets no new one be opened.
func (s *dialer) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel()
	for opened := range s.open {
		_ = opened.Conn.Close()
	}
	clear(s.open)
}

// inspect has the next response inspected as one to a fetch of that partition.
// done is called when nothing of it is in use any more.
func (s *dialer) inspect(at TopicPartition) (awaited *responseInspector, done func()) {
	awaited = &responseInspector{at: at}
	s.awaited.Store(awaited)
	return awaited, func() {
		s.awaited.CompareAndSwap(awaited, nil)
		awaited.release()
	}
}

func (s *dialer) isClosed() bool { return s.dialling.Err() != nil }

type trackedConn struct {
	net.Conn
	owner *dialer
	left  []byte // of a response that was inspected
}

func (s *trackedConn) Close() error {
	s.owner.mu.Lock()
	delete(s.owner.open, s)
	s.owner.mu.Unlock()
	return s.Conn.Close()
}

func (s *trackedConn) Read(into []byte) (int, error) {
	if inspection := s.owner.awaited.Swap(nil); inspection != nil {
		response, err := inspection.readResponse(s.receive)
		if err != nil {
			return 0, err
		}
		s.left = response
	}
	if len(s.left) == 0 {
		return s.receive(into)
	}
	count := copy(into, s.left)
	if s.left = s.left[count:]; len(s.left) == 0 {
		s.left = nil // it may be large
	}
	return count, nil
}

func (s *trackedConn) receive(into []byte) (int, error) {
	count, err := s.Conn.Read(into)
	if err != nil {
		s.owner.failures.Add(1)
	}
	return count, err
}

func (s *trackedConn) Write(from []byte) (int, error) {
	count, err := s.Conn.Write(from)
	if err != nil {
		s.owner.failures.Add(1)
	}
	return count, err
}
