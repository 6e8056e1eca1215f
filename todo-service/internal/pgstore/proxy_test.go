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

// proxy is a TCP proxy between a store and its database, which can break a connection
// at a given message.
type proxy struct {
	target  string
	dsn     *url.URL     // of the database, past the proxy
	answers atomic.Int64 // messages with which the database ended an answer
	db      *sqlx.DB     // the pool of connections through the proxy
	// unconfirmed adds to each answer the warning that no synchronous standby confirmed it.
	unconfirmed atomic.Bool

	mu           sync.Mutex
	listener     net.Listener
	conns        map[net.Conn]bool
	interception *interception
}

// interception handles the nth message of one direction from now on, and reports
// whether that message is still to be forwarded.
type interception struct {
	direction direction
	n         int
	handle    func(client *net.TCPConn) (forward bool)
}

type direction int

const (
	request direction = iota
	answer
)

// behindProxy returns a new proxy to the database, and the DSN through it.
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

// intercept sets what happens to the nth message of that direction from now on.
func (p *proxy) intercept(d direction, n int, handle func(client *net.TCPConn) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.interception = &interception{direction: d, n: n, handle: handle}
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
	s := p.interception
	if s == nil || s.direction != d {
		p.mu.Unlock()
		return true
	}
	s.n--
	if s.n > 0 {
		p.mu.Unlock()
		return true
	}
	p.interception = nil
	p.mu.Unlock()
	return s.handle(client)
}

// readyForQuery reports whether the message ends with ReadyForQuery ('Z'), which ends
// every answer.
func readyForQuery(message []byte) bool {
	return len(message) >= 6 && bytes.Equal(message[len(message)-6:len(message)-1], []byte{'Z', 0, 0, 0, 5})
}

// unconfirmed is the warning of a server whose wait for a synchronous standby was canceled.
var unconfirmed = func() []byte {
	fields := "SWARNING\x00C01000\x00Mcanceling wait for synchronous replication due to user request\x00RSyncRepWaitForLSN\x00\x00"
	return append(binary.BigEndian.AppendUint32([]byte{'N'}, uint32(4+len(fields))), fields...)
}()

// closeConn closes the connection as a server does that shuts down: the driver reads
// the end of the stream.
func closeConn(client *net.TCPConn) bool {
	client.Close()
	return false
}

// resetConn resets the connection as the host of a crashed server does.
func resetConn(client *net.TCPConn) bool {
	client.SetLinger(0)
	client.Close()
	return false
}
