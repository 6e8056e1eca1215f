package app

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/config"
	"example.com/todo/platform/testenv"
)

// The database holds every request: so many hang in it, or wait for one of its
// connections, as may. What comes on top is told at once to come back, reads
// first; probes are answered as ever; and who hung is told too, by the deadline.
func TestWhatIsTooMuchIsRefusedAtOnceAndNoProbeIs(t *testing.T) {
	t.Parallel()
	dsn := migrated(t)
	cfg := alone(t)
	cfg.Postgres.DSN, cfg.Postgres.MaxConns = config.Secret(dsn.String()), 2
	cfg.MaxInFlight, cfg.HTTP.RequestTimeout = 8, 8*time.Second
	_, stop := serve(t, cfg)
	ops := "http://" + cfg.Ops.Addr
	testenv.Eventually(t, "ready", func() bool { return answered(ops+"/readyz") == http.StatusOK })
	lock := open(t, dsn).MustBegin()
	defer lock.Rollback()
	lock.MustExec(`LOCK TABLE tasks`)

	tasks := "http://" + cfg.HTTP.Addr + "/tasks"
	hanging := make(chan int, 8)
	for range 6 {
		go func() { hanging <- answered(tasks + "/1") }()
	}
	testenv.Eventually(t, "six reads in flight", func() bool { return metric(ops, "todo_gate_in_flight") == 6 })
	refused(t, tasks+"/1")
	refused(t, tasks+"?done=true")
	conn := dial(t, cfg.GRPC.Addr)
	refusedOverGRPC(t, pb.NewTaskServiceClient(conn))
	for range 2 {
		go func() { hanging <- posted(tasks) }()
	}
	testenv.Eventually(t, "two writes in flight", func() bool { return metric(ops, "todo_gate_in_flight") == 8 })
	if got := posted(tasks); got != http.StatusServiceUnavailable {
		t.Errorf("a write past the bound: %d", got)
	}

	if got := answered(ops + "/readyz"); got != http.StatusOK {
		t.Errorf("/readyz: %d", got)
	}
	health, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil || health.Status != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("health: %v, %v", health, err)
	}
	for range cap(hanging) {
		if got := <-hanging; got != http.StatusServiceUnavailable {
			t.Errorf("a request that hung was answered with %d", got)
		}
	}
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// refused wants the read to be answered long before its deadline.
func refused(t *testing.T, url string) {
	t.Helper()
	begun := time.Now()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	took := time.Since(begun)
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" || took > 4*time.Second ||
		resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s: %d after %v, Retry-After %q: %s", url, resp.StatusCode, took, resp.Header.Get("Retry-After"), body)
	}
}

func refusedOverGRPC(t *testing.T, client pb.TaskServiceClient) {
	t.Helper()
	_, err := client.GetTask(t.Context(), &pb.GetTaskRequest{Id: 1})
	details := status.Convert(err).Details()
	if status.Code(err) != codes.Unavailable || len(details) != 1 {
		t.Fatalf("over gRPC: %v, %v", err, details)
	}
	if wait, ok := details[0].(*errdetails.RetryInfo); !ok || wait.RetryDelay.AsDuration() <= 0 {
		t.Errorf("over gRPC: %v", details)
	}
}

func posted(url string) int {
	resp, err := http.Post(url, "application/json", strings.NewReader(`{"title":"A"}`))
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// metric reads a whole number from /metrics; -1 when it is not there.
func metric(ops, name string) int {
	resp, err := http.Get(ops + "/metrics")
	if err != nil {
		return -1
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	for line := range strings.Lines(string(body)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(value))
			return n
		}
	}
	return -1
}
