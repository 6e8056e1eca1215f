package httpserver

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Stream is a streaming response, such as server-sent events. It has neither the deadline
// of a request nor the timeouts of the server; a client that does not read is disconnected.
// It must not be used concurrently.
type Stream struct {
	w            http.ResponseWriter
	controller   *http.ResponseController
	ctx          context.Context
	cancel       context.CancelFunc
	stallTimeout time.Duration
	started      bool
}

// NewStream returns a Stream that responds to r. The deadline of the request and the
// timeouts of the server no longer apply; instead the client must read each Write within
// stallTimeout. Nothing is sent: until the first Write any other response is possible.
func NewStream(w http.ResponseWriter, r *http.Request, stallTimeout time.Duration) *Stream {
	s := &Stream{w: w, controller: http.NewResponseController(w), stallTimeout: stallTimeout}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(r.Context()))
	context.AfterFunc(requestStateOf(r.Context()).clientCtx, s.cancel) //nolint:contextcheck // the parent of r.Context(), which has no deadline
	return s
}

// Context returns the context of the request without its deadline. It ends when the client
// disconnects or by Close.
func (s *Stream) Context() context.Context { return s.ctx }

// Write sends data and flushes it. After an error the client can no longer be reached.
func (s *Stream) Write(data []byte) (int, error) {
	if !s.started {
		s.started = true
		s.boundSendBuffer()
	}
	if err := s.controller.SetWriteDeadline(time.Now().Add(s.stallTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	n, err := s.w.Write(data)
	if err == nil {
		err = s.controller.Flush()
	}
	return n, err
}

// streamSendBuffer is the size in bytes of the send buffer of a streaming connection. By
// default the kernel buffers megabytes for a client that does not read.
const streamSendBuffer = 64 << 10

// boundSendBuffer bounds the send buffer of the connection for as long as that lasts. A
// stream that is rejected before its first Write must leave it unchanged for the next request.
func (s *Stream) boundSendBuffer() {
	if conn, ok := s.ctx.Value(connKey{}).(interface{ SetWriteBuffer(bytes int) error }); ok {
		_ = conn.SetWriteBuffer(streamSendBuffer) // fails when the client has disconnected
	}
}

// Close ends the context of the stream. Instrument logs cause as the error of the request,
// unless it is nil.
func (s *Stream) Close(cause error) {
	if cause != nil {
		requestStateOf(s.ctx).err = cause
	}
	s.cancel()
}
