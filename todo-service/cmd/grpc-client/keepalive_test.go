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

// freezableConn is a connection that stays open and delivers nothing once it is frozen.
type freezableConn struct {
	net.Conn
	mu     sync.Mutex
	frozen bool
}

func (f *freezableConn) freeze() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frozen = true
}

func (f *freezableConn) Read(into []byte) (int, error) {
	for {
		n, err := f.Conn.Read(into)
		f.mu.Lock()
		frozen := f.frozen
		f.mu.Unlock()
		if err != nil || !frozen {
			return n, err
		}
	}
}

// oneConnListener is a listener with one connection.
type oneConnListener struct {
	conns chan net.Conn
	once  sync.Once
}

func (o *oneConnListener) Accept() (net.Conn, error) {
	conn, open := <-o.conns
	if !open {
		return nil, net.ErrClosed
	}
	return conn, nil
}
func (o *oneConnListener) Close() error   { o.once.Do(func() { close(o.conns) }); return nil }
func (o *oneConnListener) Addr() net.Addr { return &net.TCPAddr{} }

// silentService is a service whose watches have no events.
type silentService struct {
	pb.UnimplementedTaskServiceServer
}

func (silentService) WatchTasks(_ *pb.WatchTasksRequest, stream grpc.ServerStreamingServer[pb.TaskEvent]) error {
	if err := stream.SendHeader(nil); err != nil {
		return err
	}
	<-stream.Context().Done()
	return stream.Context().Err()
}

func TestAWatchEndsWhenItsConnectionIsDead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		conn := &freezableConn{Conn: near}
		listener := &oneConnListener{conns: make(chan net.Conn, 1)}
		listener.conns <- far
		server := grpc.NewServer()
		pb.RegisterTaskServiceServer(server, silentService{})
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
				t.Errorf("the watch ended with %v", err)
			}
		case <-time.After(2 * time.Minute):
			t.Error("the watch has not ended after two minutes")
		}
	})
}
