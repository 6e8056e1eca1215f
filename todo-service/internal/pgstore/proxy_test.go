package pgstore_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jmoiron/sqlx"
)

// proxy stands between a store and its database, and spoils what it is told to.
type proxy struct {
	target  string
	dsn     *url.URL     // of the database, past the proxy
	answers atomic.Int64 // how many times the database was ready for another query
	db      *sqlx.DB     // the pool of connections through the proxy
	// unconfirmed has each answer say that a synchronous standby did not confirm the commit.
	unconfirmed atomic.Bool

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool
	spoiler  *spoiler
}

// spoiler meets the nth message of one direction from now on. It says whether
// that message is still to be passed on.
type spoiler struct {
	direction direction
	n         int
	spoil     func(client *net.TCPConn) (pass bool)
}

type direction int

const (
	request direction = iota
	answer
)

// behindProxy returns the way to the database through a new proxy.
func behindProxy(t *testing.T, dsn *url.URL) (*proxy, *url.URL) {
	t.Helper()
	p := &proxy{target: dsn.Host, dsn: dsn, conns: map[net.Conn]bool{}}
	p.listen(t, "127.0.0.1:0")
	t.Cleanup(p.close)
	through := *dsn
	through.Host = p.listener.Addr().String()
	return p, &through
}

func (p *proxy) listen(t *testing.T, addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	p.listener = listener
	p.mu.Unlock()
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go p.serve(client.(*net.TCPConn))
		}
	}()
}

// direct is a pool of connections past the proxy.
func (p *proxy) direct(t *testing.T) *sqlx.DB {
	t.Helper()
	return open(t, p.dsn)
}

// close ends every connection and refuses new ones.
func (p *proxy) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener.Close()
	for c := range p.conns {
		c.Close()
	}
}

// spoil arms the proxy for the nth message of that direction from now on.
func (p *proxy) spoil(d direction, n int, spoil func(client *net.TCPConn) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spoiler = &spoiler{direction: d, n: n, spoil: spoil}
}

func (p *proxy) serve(client *net.TCPConn) {
	conn, err := net.Dial("tcp", p.target)
	if err != nil {
		client.Close()
		return
	}
	server := conn.(*net.TCPConn)
	p.mu.Lock()
	p.conns[client], p.conns[server] = true, true
	p.mu.Unlock()
	go p.pump(request, client, server, client)
	p.pump(answer, server, client, client)
}

func (p *proxy) pump(d direction, from, to, client *net.TCPConn) {
	defer to.CloseWrite()
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !p.passes(d, buffer[:n], client) {
			return
		}
		if n > 0 {
			message := buffer[:n]
			if d == answer && p.unconfirmed.Load() && readyForQuery(message) {
				message = slices.Insert(message, n-6, unconfirmed...)
			}
			_, writeErr := to.Write(message)
			err = errors.Join(err, writeErr)
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) passes(d direction, message []byte, client *net.TCPConn) bool {
	if d == answer {
		if !readyForQuery(message) {
			return true
		}
		p.answers.Add(1)
	}
	p.mu.Lock()
	s := p.spoiler
	if s == nil || s.direction != d {
		p.mu.Unlock()
		return true
	}
	s.n--
	if s.n > 0 {
		p.mu.Unlock()
		return true
	}
	p.spoiler = nil
	p.mu.Unlock()
	return s.spoil(client)
}

// readyForQuery says whether the database's message ends with 'Z', which ends
// every answer.
func readyForQuery(message []byte) bool {
	return len(message) >= 6 && bytes.Equal(message[len(message)-6:len(message)-1], []byte{'Z', 0, 0, 0, 5})
}

// unconfirmed is the warning of a server whose wait for a synchronous standby was canceled.
var unconfirmed = func() []byte {
	fields := "SWARNING\x00C01000\x00Mcanceling wait for synchronous replication due to user request\x00RSyncRepWaitForLSN\x00\x00"
	return append(binary.BigEndian.AppendUint32([]byte{'N'}, uint32(4+len(fields))), fields...)
}()

// hangUp closes the connection as a server that is shut down does, so that the
// driver reads the end of the stream.
func hangUp(client *net.TCPConn) bool {
	client.Close()
	return false
}

// reset closes the connection as a server that crashed does.
func reset(client *net.TCPConn) bool {
	client.SetLinger(0)
	client.Close()
	return false
}
