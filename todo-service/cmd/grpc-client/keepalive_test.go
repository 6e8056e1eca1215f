package main

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	pb "example.com/todo/contracts/gen/task"
)

// freezableConn is a connection that stays open and delivers nothing once it is frozen.
type freezableConn struct {
	net.Conn
	frozen atomic.Bool
}

func (f *freezableConn) Read(into []byte) (int, error) {
	for {
		n, err := f.Conn.Read(into)
		if err != nil || !f.frozen.Load() {
			return n, err
		}
	}
}

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
		listener := bufconn.Listen(64 << 10)
		conn := &freezableConn{}
		server := grpc.NewServer()
		pb.RegisterTaskServiceServer(server, silentService{})
		go server.Serve(listener)
		defer server.Stop()
		client, err := dial("passthrough:///pipe", grpc.WithContextDialer(func(ctx context.Context, _ string) (_ net.Conn, err error) {
			conn.Conn, err = listener.DialContext(ctx)
			return conn, err
		}))
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
		conn.frozen.Store(true)
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
