package grpcserver

import (
	"context"
	"time"

	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/protobuf/proto"

	"example.com/todo/platform/apperr"
)

const (
	// maxUnsentBytes is the number of bytes of a stream that may wait for its client. It
	// bounds the memory for a client that does not read.
	maxUnsentBytes = 32 << 10
	// minMessageCost is the number of bytes that a small message counts for. It bounds the
	// number of waiting messages, which have an overhead each.
	minMessageCost = 2 << 10
	// minPooledBuffer is the capacity in bytes from which on grpc-go returns a buffer to its
	// pool after sending: more than 1 KiB.
	minPooledBuffer = 1<<10 + 1
)

// Encoded is a message encoded once, to be sent on any number of streams.
type Encoded struct{ data []byte }

// Encode encodes m. It fails when a string of m is not UTF-8.
func Encode(m proto.Message) (Encoded, error) {
	size := proto.Size(m)
	data, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(make([]byte, 0, max(size, minPooledBuffer)), m)
	return Encoded{data}, err
}

// PacedStream implements flow control for a server stream: Send waits while too much is
// unsent, and fails when the client does not read. grpc-go alone buffers 64 KiB, hundreds
// of kilobytes of memory in small messages, and then blocks until the connection ends.
//
//	Send: acquire cost → grpc-go's buffer → connection → trackedMessage.Put: release cost
type PacedStream struct {
	stream       grpc.ServerStream
	unsent       *semaphore.Weighted // the costs of messages that are not yet written to the connection
	stallTimeout time.Duration
}

// NewPacedStream returns a PacedStream on stream, before its first message. Send fails
// when the client reads nothing for stallTimeout.
func NewPacedStream(stream grpc.ServerStream, stallTimeout time.Duration) *PacedStream {
	// grpc-go would release the buffer of a compressed message before it is sent.
	_ = grpc.SetSendCompressor(stream.Context(), encoding.Identity) // identity is always supported
	return &PacedStream{stream: stream, unsent: semaphore.NewWeighted(maxUnsentBytes), stallTimeout: stallTimeout}
}

// Send sends m and blocks while too many bytes are unsent. The error is
// apperr.Unavailable when the client reads nothing for the stall timeout; the caller then
// ends the stream.
func (s *PacedStream) Send(m Encoded) error {
	cost := min(max(int64(len(m.data)), minMessageCost), maxUnsentBytes)
	if !s.unsent.TryAcquire(cost) {
		if err := s.waitForClient(cost); err != nil {
			return err
		}
	}
	return s.stream.SendMsg(&trackedMessage{data: m.data, onSent: func() { s.unsent.Release(cost) }})
}

func (s *PacedStream) waitForClient(cost int64) error {
	stream := s.stream.Context()
	ctx, cancel := context.WithTimeout(stream, s.stallTimeout)
	defer cancel()
	err := s.unsent.Acquire(ctx, cost)
	if err == nil || stream.Err() != nil {
		return err
	}
	return apperr.New(apperr.Unavailable, "nothing of this stream was read for %v; read faster, and resume where you are", s.stallTimeout)
}

// trackedMessage is an encoded message that calls onSent when grpc-go has written it to the
// connection. It is the mem.BufferPool to which grpc-go returns the buffer.
type trackedMessage struct {
	data   []byte
	onSent func()
}

// Get implements mem.BufferPool. It is never called.
func (m *trackedMessage) Get(length int) *[]byte { return new(make([]byte, length)) }

// Put implements mem.BufferPool. grpc-go calls it when the message was sent or has failed.
func (m *trackedMessage) Put(*[]byte) { m.onSent() }
