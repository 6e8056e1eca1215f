package app

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/config"
)

// A service that is told to stop has an open stream and a request that hangs in
// the database: neither keeps it, and both clients learn what to do.
func TestStoppingTellsWatchersToResumeAndWaitsForNoHangingRequest(t *testing.T) {
	t.Parallel()
	dsn := migrated(t)
	cfg := alone(t)
	cfg.Postgres.DSN = config.Secret(dsn.String())
	cfg.HTTP.RequestTimeout = time.Second
	_, stop := serve(t, cfg)
	ready := "http://" + cfg.Ops.Addr + "/readyz"
	await(t, "ready", func() bool { return answered(ready) == http.StatusOK })

	stream := watching(t, cfg.GRPC.Addr)
	db := open(t, dsn)
	lock := db.MustBegin()
	defer lock.Rollback()
	lock.MustExec(`LOCK TABLE tasks`)
	hanging := make(chan int, 1)
	go func() {
		resp, err := http.Post("http://"+cfg.HTTP.Addr+"/tasks", "application/json", strings.NewReader(`{"title":"A"}`))
		if err != nil {
			hanging <- 0
			return
		}
		resp.Body.Close()
		hanging <- resp.StatusCode
	}()
	await(t, "a request that hangs", func() (waiting bool) {
		err := db.Get(&waiting, `SELECT EXISTS (SELECT FROM pg_locks JOIN pg_class ON relation = pg_class.oid WHERE relname = 'tasks' AND NOT granted)`)
		return err == nil && waiting
	})

	begun := time.Now()
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if took := time.Since(begun); took > 8*time.Second {
		t.Errorf("stopping took %v", took)
	}
	_, err := stream.Recv()
	if told := status.Convert(err); told.Code() != codes.Unavailable || !strings.Contains(told.Message(), "resume with the token") {
		t.Errorf("the watcher was told: %v", err)
	}
	if got := <-hanging; got != http.StatusServiceUnavailable {
		t.Errorf("the request that hung was answered with %d", got)
	}
}

// watching opens a stream that has begun.
func watching(t *testing.T, addr string) grpc.ServerStreamingClient[pb.TaskEvent] {
	t.Helper()
	stream, err := pb.NewTaskServiceClient(dial(t, addr)).WatchTasks(t.Context(), &pb.WatchTasksRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Header(); err != nil {
		t.Fatal(err)
	}
	return stream
}

func dial(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}
