package httpserver

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// streamSendBuffer is what the kernel may hold of a stream; by itself it would take
// megabytes for a client that reads nothing.
const streamSendBuffer = 64 << 10

// connKey is where the context of a request has its connection.
type connKey struct{}

// Stream is an answer that lasts for as long as its client likes.
type Stream struct {
	w            http.ResponseWriter
	controller   *http.ResponseController
	ctx          context.Context
	cancel       context.CancelFunc
	stallTimeout time.Duration
	started      bool
}

// NewStream lets the answer to r last: the request's deadline and the server's
// timeouts bound it no longer. Instead the client must take each piece of it
// within stall. It changes nothing else: the request may still be refused.
func NewStream(w http.ResponseWriter, r *http.Request, stall time.Duration) *Stream {
	s := &Stream{w: w, controller: http.NewResponseController(w), stallTimeout: stall}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(r.Context()))
	requestStateOf(r.Context()).onClientGone(s.cancel)
	return s
}

// Context is the request's, without its deadline: it ends when the client leaves
// or Close is called.
func (s *Stream) Context() context.Context { return s.ctx }

// Write sends a piece at once. After an error there is nobody to write to.
func (s *Stream) Write(piece []byte) (int, error) {
	s.startResponse()
	if err := s.controller.SetWriteDeadline(time.Now().Add(s.stallTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	n, err := s.w.Write(piece)
	if err == nil {
		err = s.controller.Flush()
	}
	return n, err
}

// startResponse bounds what the kernel holds. That lasts as long as the connection, which
// a refused stream leaves to others: hence not before something is sent.
func (s *Stream) startResponse() {
	if s.started {
		return
	}
	s.started = true
	if conn, ok := s.ctx.Value(connKey{}).(interface{ SetWriteBuffer(bytes int) error }); ok {
		_ = conn.SetWriteBuffer(streamSendBuffer) // it fails when the client has left
	}
}

// Close ends the stream's context. The log line of the request tells of cause,
// if there is one.
func (s *Stream) Close(cause error) {
	if cause != nil {
		requestStateOf(s.ctx).err = cause
	}
	s.cancel()
}
