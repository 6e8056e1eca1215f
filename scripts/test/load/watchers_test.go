package load

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "example.com/todo/contracts/gen/task"
)

// watchers are gRPC watchers of one replica, with the time at which each received each created task.
type watchers struct {
	size  int
	leave func() // ends all watches and waits for them

	mu    sync.Mutex
	heard map[int64][]time.Time // by task
}

// startWatchers opens size watches over some connections and returns when all have started.
func startWatchers(t *testing.T, r *replica, size, conns int) *watchers {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	a := &watchers{size: size, heard: map[int64][]time.Time{}}
	var present sync.WaitGroup
	clients := make([]*grpc.ClientConn, conns)
	for i := range clients {
		clients[i] = dial(t, r)
	}
	a.leave = func() {
		cancel()
		present.Wait()
		for _, c := range clients {
			_ = c.Close()
		}
	}
	t.Cleanup(a.leave)
	for i := range size {
		stream := watch(ctx, t, clients[i%conns])
		present.Go(func() {
			for {
				e, err := stream.Recv()
				if err != nil {
					return
				}
				a.note(e.GetTask().GetId())
			}
		})
	}
	return a
}

func dial(t *testing.T, r *replica, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(r.grpc, append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// watch opens a watch and returns when it has started.
func watch(ctx context.Context, t *testing.T, conn *grpc.ClientConn) grpc.ServerStreamingClient[pb.TaskEvent] {
	t.Helper()
	stream, err := pb.NewTaskServiceClient(conn).WatchTasks(ctx, &pb.WatchTasksRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if header, err := stream.Header(); err != nil || len(header.Get("resume-token")) != 1 {
		t.Fatalf("the watch begins with %v, %v", header, err)
	}
	return stream
}

func (a *watchers) note(id int64) {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.heard[id] = append(a.heard[id], now)
}

// all reports whether every watcher has received a task.
func (a *watchers) all(id int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.heard[id]) == a.size
}

// delays returns the durations from the request for each task to each delivery.
func (a *watchers) delays(asked map[int64]time.Time) (delays []time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, begun := range asked {
		for _, told := range a.heard[id] {
			delays = append(delays, told.Sub(begun))
		}
	}
	return delays
}

// make creates tasks at a rate until ctx ends, waits for all deliveries, and returns their durations.
func (a *watchers) make(ctx context.Context, t *testing.T, users *client, rate int, title string) []time.Duration {
	t.Helper()
	var mu sync.Mutex
	asked := map[int64]time.Time{}
	drive(ctx, rate, func(ctx context.Context) error {
		begun := time.Now()
		id, err := users.create(ctx, title)
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			asked[id] = begun
		}
		return err
	}).report(t)
	for id := range asked {
		await(t, 30*time.Second, "every watcher has received it", func() bool { return a.all(id) })
	}
	return a.delays(asked)
}

// stallOverGRPC opens watches that read nothing and returns when they have started.
func stallOverGRPC(ctx context.Context, t *testing.T, r *replica, watchers, conns int) {
	t.Helper()
	clients := make([]*grpc.ClientConn, conns)
	for i := range clients {
		clients[i] = dial(t, r, grpc.WithInitialWindowSize(64<<10)) // otherwise grpc-go itself reads megabytes ahead
	}
	for i := range watchers {
		watch(ctx, t, clients[i%conns])
	}
}

// stallOverHTTP opens event streams and reads only their first bytes.
func stallOverHTTP(ctx context.Context, t *testing.T, r *replica, watchers int) {
	t.Helper()
	for range watchers {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.http)
		if err != nil {
			t.Fatal(err)
		}
		context.AfterFunc(ctx, func() { _ = conn.Close() })
		_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10) // the kernel would buffer more, unread
		if _, err := io.WriteString(conn, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		begin := make([]byte, len("HTTP/1.1 200"))
		if _, err := io.ReadFull(conn, begin); err != nil || string(begin) != "HTTP/1.1 200" {
			t.Fatalf("%s is answered with %q, %v", http.MethodGet, begin, err)
		}
	}
}
