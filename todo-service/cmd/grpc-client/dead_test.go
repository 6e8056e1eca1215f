package main

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "example.com/todo/contracts/gen/task"
)

// frozen is a connection that, once it is frozen, stays open and brings nothing.
type frozen struct {
	net.Conn
	mu    sync.Mutex
	still bool
}

func (f *frozen) freeze() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.still = true
}

func (f *frozen) Read(into []byte) (int, error) {
	for {
		n, err := f.Conn.Read(into)
		f.mu.Lock()
		still := f.still
		f.mu.Unlock()
		if err != nil || !still {
			return n, err
		}
	}
}

// callForTask is a listener with one connection.
type one struct {
	conns chan net.Conn
	once  sync.Once
}

func (o *one) Accept() (net.Conn, error) {
	conn, open := <-o.conns
	if !open {
		return nil, net.ErrClosed
	}
	return conn, nil
}
func (o *one) Close() error   { o.once.Do(func() { close(o.conns) }); return nil }
func (o *one) Addr() net.Addr { return &net.TCPAddr{} }

// silent is a service whose watchers hear nothing.
type silent struct {
	pb.UnimplementedTaskServiceServer
}

func (silent) WatchTasks(_ *pb.WatchTasksRequest, stream grpc.ServerStreamingServer[pb.TaskEvent]) error {
	if err := stream.SendHeader(nil); err != nil {
		return err
	}
	<-stream.Context().Done()
	return stream.Context().Err()
}

func TestAWatchOnADeadConnectionEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		conn := &frozen{Conn: near}
		listener := &one{conns: make(chan net.Conn, 1)}
		listener.conns <- far
		server := grpc.NewServer()
		pb.RegisterTaskServiceServer(server, silent{})
		go server.Serve(listener)
		defer server.Stop()
		client, err := dial("passthrough:///pipe", grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return conn, nil }))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		stream, err := pb.NewTaskServiceClient(client).WatchTasks(t.Context(), &pb.WatchTasksRequest{})
		if err == nil {
			_, err = stream.Header()
		}
		if err != nil {
			t.Fatal(err)
		}
		conn.freeze()
		ended := make(chan error, 1)
		go func() {
			_, err := stream.Recv()
			ended <- err
		}()
		select {
		case err := <-ended:
			if status.Code(err) != codes.Unavailable {
				t.Errorf("it ended with %v", err)
			}
		case <-time.After(2 * time.Minute):
			t.Error("it waits still after two minutes")
		}
	})
}
