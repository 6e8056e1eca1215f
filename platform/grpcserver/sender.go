package grpcserver

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"example.com/todo/platform/fault"
)

const (
	// sendAhead is how many bytes of a stream may wait for its client, which
	// bounds what a stalled one keeps in memory.
	sendAhead = 32 << 10
	// messageCost is what a message counts for at least: not many wait.
	messageCost = 2 << 10
	// bufferBytes holds most messages; grpc-go tells when it is done with a
	// buffer only of those above its threshold of 1 KiB.
	bufferBytes = 1152
)

// Sender sends the messages of a stream at the pace of its client.
//
// grpc-go takes 64 KiB of messages for a client that reads nothing, some hundred
// kilobytes of memory when they are small, and then blocks in SendMsg until the
// connection ends. A Sender knows which messages have not gone out to the
// connection, and does not go on when they are too many.
type Sender struct {
	stream grpc.ServerStream
	ahead  *semaphore.Weighted // what messages on their way cost
	stall  time.Duration
}

// NewSender returns the sender of stream, on which nothing was sent yet. A client
// may take no message for stall.
func NewSender(stream grpc.ServerStream, stall time.Duration) *Sender {
	// A compressed message would be done with when it is compressed.
	_ = grpc.SetSendCompressor(stream.Context(), encoding.Identity) // not to compress is always possible
	return &Sender{stream: stream, ahead: semaphore.NewWeighted(sendAhead), stall: stall}
}

// Send sends m, which may be changed afterwards. When the client has taken
// nothing for too long it is fault.Unavailable: end the stream.
func (s *Sender) Send(m proto.Message) error {
	size := proto.Size(m)
	cost := min(max(int64(size), messageCost), sendAhead)
	if !s.ahead.TryAcquire(cost) {
		if err := s.wait(cost); err != nil {
			return err
		}
	}
	return s.stream.SendMsg(&paced{message: m, size: size, gone: func() { s.ahead.Release(cost) }})
}

func (s *Sender) wait(cost int64) error {
	stream := s.stream.Context()
	ctx, cancel := context.WithTimeout(stream, s.stall)
	defer cancel()
	err := s.ahead.Acquire(ctx, cost)
	if err == nil || stream.Err() != nil {
		return err
	}
	return fault.New(fault.Unavailable, "nothing of this stream was read for %v; read faster, and resume where you are", s.stall)
}

// paced is a message on its way. The codec puts it into a buffer of its own,
// which comes back when the message has gone out or the stream has ended.
type paced struct {
	message proto.Message
	size    int
	gone    func()
}

func (p *paced) marshal() (mem.BufferSlice, error) {
	buffer := p.Get(p.size)
	encoded, err := proto.MarshalOptions{}.MarshalAppend((*buffer)[:0], p.message)
	if err != nil {
		p.Put(buffer)
		return nil, err
	}
	*buffer = encoded
	return mem.BufferSlice{mem.NewBuffer(buffer, p)}, nil
}

var buffers = sync.Pool{New: func() any { return new(make([]byte, 0, bufferBytes)) }}

// Get and Put make it a mem.BufferPool, of this one buffer.
func (p *paced) Get(length int) *[]byte {
	if length <= bufferBytes {
		return buffers.Get().(*[]byte)
	}
	return new(make([]byte, 0, length))
}

func (p *paced) Put(buffer *[]byte) {
	if cap(*buffer) == bufferBytes {
		buffers.Put(buffer)
	}
	p.gone()
}
