package main

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "example.com/todo/contracts/gen/task"
)

// streamsPerConn is how many watchers share a connection.
const streamsPerConn = 100

// startWatchers opens n watches, and returns when all have started. leave ends them.
func startWatchers(ctx context.Context, addr string, n int) (leave func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	var conns []*grpc.ClientConn
	leave = func() {
		cancel()
		watching.Wait()
		for _, conn := range conns {
			_ = conn.Close()
		}
	}
	for i := range n {
		if i%streamsPerConn == 0 {
			conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				leave()
				return nil, err
			}
			conns = append(conns, conn)
		}
		stream, err := pb.NewTaskServiceClient(conns[len(conns)-1]).WatchTasks(ctx, &pb.WatchTasksRequest{})
		if err == nil {
			_, err = stream.Header()
		}
		if err != nil {
			leave()
			return nil, fmt.Errorf("watcher %d: %w", i, err)
		}
		watching.Go(func() {
			for {
				if _, err := stream.Recv(); err != nil {
					return
				}
			}
		})
	}
	return leave, nil
}
