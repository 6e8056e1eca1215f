package link

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

const (
	chunkBytes = 64 << 10
	chunksHeld = 64 // in one direction, while they are held back
)

// pair is a client's connection, and the one to the server that answers it.
type pair struct {
	link           *Link
	client, server *net.TCPConn
	once           sync.Once
	gone           chan struct{} // closed when the pair is cut
}

type chunk struct {
	data []byte
	due  time.Time
}

func (p *pair) cut() {
	p.once.Do(func() {
		close(p.gone)
		reset(p.client)
		reset(p.server)
	})
}

// run moves data until both sides have ended, or one has failed.
func (p *pair) run() {
	var both sync.WaitGroup
	both.Go(func() { p.move(p.client, p.server, false) })
	both.Go(func() { p.move(p.server, p.client, true) })
	both.Wait()
	p.cut()
}

func (p *pair) move(from, to *net.TCPConn, answers bool) {
	chunks := make(chan chunk, chunksHeld)
	go p.read(from, chunks)
	for c := range chunks {
		if !p.hold(c.due) {
			break
		}
		if mode, _, _ := p.link.now(); answers && mode == DropAnswers {
			continue
		}
		if _, err := to.Write(c.data); err != nil {
			p.cut()
			break
		}
	}
	for range chunks { // until the reader has ended, which it does when the pair is cut
	}
	_ = to.CloseWrite() // after a cut there is nothing left to close
}

// read ends chunks when the sender has ended.
func (p *pair) read(from *net.TCPConn, chunks chan<- chunk) {
	defer close(chunks)
	for {
		buffer := make([]byte, chunkBytes)
		n, err := from.Read(buffer)
		if n > 0 {
			_, delay, _ := p.link.now()
			select {
			case chunks <- chunk{buffer[:n], time.Now().Add(delay.draw())}:
			case <-p.gone:
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				p.cut()
			}
			return
		}
	}
}

// hold waits until due, and while the link is stalled. It returns false when the pair was cut meanwhile.
func (p *pair) hold(due time.Time) bool {
	if wait := time.Until(due); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-p.gone:
			return false
		}
	}
	for {
		mode, _, changed := p.link.now()
		if mode != Stall {
			return true
		}
		select {
		case <-changed:
		case <-p.gone:
			return false
		}
	}
}
