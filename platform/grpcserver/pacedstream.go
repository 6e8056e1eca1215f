package grpcserver

import (
	"context"
	"time"

	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"example.com/todo/platform/apperr"
)

const (
	// maxUnsentBytes is how many bytes of a stream may wait for its client, which
	// bounds what a stalled one keeps in memory.
	maxUnsentBytes = 32 << 10
	// minMessageCost is what a message counts for at least: not many wait.
	minMessageCost = 2 << 10
	// minPooledBuffer is the size from which on grpc-go tells when it is done with a
	// buffer: above 1 KiB.
	minPooledBuffer = 1<<10 + 1
)

// Encoded is a message as it is sent, encoded once for any number of streams.
type Encoded struct{ data []byte }

// Encode encodes m.
func Encode(m proto.Message) (Encoded, error) {
	size := proto.Size(m)
	data, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(make([]byte, 0, max(size, minPooledBuffer)), m)
	return Encoded{data}, err
}

// PacedStream sends the messages of a stream at the pace of its client.
//
// grpc-go takes 64 KiB of messages for a client that reads nothing, some hundred
// kilobytes of memory when they are small, and then blocks in SendMsg until the
// connection ends. A Sender knows which messages have not gone out to the
// connection, and does not go on when they are too many.
type PacedStream struct {
	stream       grpc.ServerStream
	unsent       *semaphore.Weighted // what messages on their way cost
	stallTimeout time.Duration
}

// NewPacedStream returns the sender of stream, on which nothing was sent yet. A client
// may take no message for stall.
func NewPacedStream(stream grpc.ServerStream, stall time.Duration) *PacedStream {
	// A compressed message would be done with when it is compressed.
	_ = grpc.SetSendCompressor(stream.Context(), encoding.Identity) // not to compress is always possible
	return &PacedStream{stream: stream, unsent: semaphore.NewWeighted(maxUnsentBytes), stallTimeout: stall}
}

// Send sends m. When the client has taken nothing for too long it is
// fault.Unavailable: end the stream.
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

// trackedMessage is a message whose sender wants to know when it has gone out. It is
// the pool that grpc-go gives the message's buffer back to.
type trackedMessage struct {
	data   []byte
	onSent func()
}

func (m *trackedMessage) buffer() mem.BufferSlice { return mem.BufferSlice{mem.NewBuffer(&m.data, m)} }

// Get is never asked for; it makes m a mem.BufferPool.
func (m *trackedMessage) Get(length int) *[]byte { return new(make([]byte, length)) }

// Put is called when the message has gone out, or could not be sent.
func (m *trackedMessage) Put(*[]byte) { m.onSent() }
