package app

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/config"
	"example.com/todo/platform/testenv"
)

// Neither open streams nor a request that is stalled in the database may delay the stop.
func TestStopEndsStreamsWithAResumeTokenAndStalledRequestsAtTheirDeadline(t *testing.T) {
	t.Parallel()
	dsn := migratedDatabase(t)
	cfg := withoutServers(t)
	cfg.Postgres.DSN = config.Secret(dsn.String())
	cfg.HTTP.RequestTimeout = time.Second
	_, stop := start(t, cfg)
	awaitReady(t, cfg)

	stream := openWatch(t, cfg.GRPC.Addr)
	events, err := http.Get("http://" + cfg.HTTP.Addr + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer events.Body.Close()
	db := openDatabase(t, dsn)
	lock := db.MustBegin()
	defer lock.Rollback()
	lock.MustExec(`LOCK TABLE tasks`)
	stalled := make(chan int, 1)
	go func() {
		resp, err := http.Post("http://"+cfg.HTTP.Addr+"/tasks", "application/json", strings.NewReader(`{"title":"A"}`))
		if err != nil {
			stalled <- 0
			return
		}
		resp.Body.Close()
		stalled <- resp.StatusCode
	}()
	testenv.Eventually(t, "a stalled request", func() (waiting bool) {
		err := db.Get(&waiting, `SELECT EXISTS (SELECT FROM pg_locks JOIN pg_class ON relation = pg_class.oid WHERE relname = 'tasks' AND NOT granted)`)
		return err == nil && waiting
	})

	start := time.Now()
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if took := time.Since(start); took > 8*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if end, err := io.ReadAll(events.Body); err != nil || !regexp.MustCompile(`: .*resume.*\nretry: \d+\nid: 0\n\n$`).Match(end) {
		t.Errorf("the stream of events ended with %q, error %v", end, err)
	}
	_, err = stream.Recv()
	if got := status.Convert(err); got.Code() != codes.Unavailable || !strings.Contains(got.Message(), "resume with the token") {
		t.Errorf("the gRPC stream ended with %v", err)
	}
	if got := <-stalled; got != http.StatusServiceUnavailable {
		t.Errorf("the stalled request got status %d", got)
	}
}

// One client sends a body that never ends, another one reads nothing of its stream. Both
// must be disconnected after the drain timeout, and Run must report it.
func TestStopDisconnectsStalledClientsAfterTheDrainTimeout(t *testing.T) {
	t.Parallel()
	dsn := migratedDatabase(t)
	cfg := withoutServers(t)
	cfg.Postgres.DSN = config.Secret(dsn.String())
	cfg.HTTP.DrainTimeout, cfg.GRPC.DrainTimeout = 2*time.Second, 2*time.Second
	_, stop := start(t, cfg)
	awaitReady(t, cfg)
	openDatabase(t, dsn).MustExec(`
		INSERT INTO events (id, seq, type, task_id, title, priority, done, created_at, version, at, traceparent)
		SELECT gen_random_uuid(), n, 'task.created', n, repeat('x', 500), 0, false, now(), 1, now(), '' FROM generate_series(1, 2000) n;
		UPDATE stream SET head = 2000, kafka_seq = 2000, live_seq = 2000`)
	narrow := grpc.WithInitialWindowSize(64 << 10) // bytes that the client takes without reading
	stalled, err := pb.NewTaskServiceClient(dial(t, cfg.GRPC.Addr, narrow)).WatchTasks(t.Context(), &pb.WatchTasksRequest{ResumeToken: "0"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stalled.Header(); err != nil {
		t.Fatal(err)
	}
	sent := 0
	testenv.Eventually(t, "a stream that takes no more bytes", func() bool {
		before := sent
		sent = readMetric("http://"+cfg.Ops.Addr, `grpc_server_msg_sent_total{grpc_method="WatchTasks",grpc_service="task.TaskService",grpc_type="server_stream"}`)
		return sent > 50 && sent == before
	})
	conn, err := net.Dial("tcp", cfg.HTTP.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "POST /tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n")
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("the server does not want the body: %q, %v", line, err)
	}

	start := time.Now()
	err = stop()
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("stopping took %v", took)
	}
	for _, cut := range []string{"requests on", "calls on"} {
		if err == nil || !strings.Contains(err.Error(), cut) {
			t.Errorf("Run does not report that %s were cut off: %v", cut, err)
		}
	}
}

// openWatch opens a stream and waits for its header.
func openWatch(t *testing.T, addr string) grpc.ServerStreamingClient[pb.TaskEvent] {
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

func dial(t testing.TB, addr string, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}
