package httpserver

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// streamBuffer is what the kernel may hold of a stream; by itself it would take
// megabytes for a client that reads nothing.
const streamBuffer = 64 << 10

// connKey is where the context of a request has its connection.
type connKey struct{}

// Stream is an answer that lasts for as long as its client likes.
type Stream struct {
	w          http.ResponseWriter
	connection *http.ResponseController
	ctx        context.Context
	cancel     context.CancelFunc
	stall      time.Duration
	begun      bool
}

// NewStream lets the answer to r last: the request's deadline and the server's
// timeouts bound it no longer. Instead the client must take each piece of it
// within stall. It changes nothing else: the request may still be refused.
func NewStream(w http.ResponseWriter, r *http.Request, stall time.Duration) *Stream {
	s := &Stream{w: w, connection: http.NewResponseController(w), stall: stall}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(r.Context()))
	exchangeOf(r.Context()).whenLeft(s.cancel)
	return s
}

// Context is the request's, without its deadline: it ends when the client leaves
// or Close is called.
func (s *Stream) Context() context.Context { return s.ctx }

// Write sends a piece at once. After an error there is nobody to write to.
func (s *Stream) Write(piece []byte) (int, error) {
	s.begin()
	if err := s.connection.SetWriteDeadline(time.Now().Add(s.stall)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	n, err := s.w.Write(piece)
	if err == nil {
		err = s.connection.Flush()
	}
	return n, err
}

// begin bounds what the kernel holds. That lasts as long as the connection, which
// a refused stream leaves to others: hence not before something is sent.
func (s *Stream) begin() {
	if s.begun {
		return
	}
	s.begun = true
	if conn, ok := s.ctx.Value(connKey{}).(interface{ SetWriteBuffer(bytes int) error }); ok {
		_ = conn.SetWriteBuffer(streamBuffer) // it fails when the client has left
	}
}

// Close ends the stream's context. The log line of the request tells of cause,
// if there is one.
func (s *Stream) Close(cause error) {
	if cause != nil {
		exchangeOf(s.ctx).err = cause
	}
	s.cancel()
}
