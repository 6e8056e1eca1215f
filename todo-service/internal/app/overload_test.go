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

// A lock in the database stalls all admitted requests. Further requests must be rejected
// at once, reads first, probes must succeed, and the stalled requests must end at their
// deadline.
func TestOverloadIsRejectedAtOnceWhileProbesSucceed(t *testing.T) {
	t.Parallel()
	dsn := migratedDatabase(t)
	cfg := withoutServers(t)
	cfg.Postgres.DSN, cfg.Postgres.MaxConns = config.Secret(dsn.String()), 2
	cfg.MaxInFlight, cfg.HTTP.RequestTimeout = 8, 8*time.Second
	serve(t, cfg)
	ops := "http://" + cfg.Ops.Addr
	awaitReady(t, cfg)
	lock := openDatabase(t, dsn).MustBegin()
	defer lock.Rollback()
	lock.MustExec(`LOCK TABLE tasks`)

	tasks := "http://" + cfg.HTTP.Addr + "/tasks"
	stalled := make(chan int, 8)
	for range 6 {
		go func() { stalled <- getStatus(tasks + "/1") }()
	}
	testenv.Eventually(t, "six reads in flight", func() bool { return readMetric(ops, "todo_admission_in_flight") == 6 })
	wantOverloaded(t, tasks+"/1")
	wantOverloaded(t, tasks+"?done=true")
	conn := dial(t, cfg.GRPC.Addr)
	wantOverloadedOverGRPC(t, pb.NewTaskServiceClient(conn))
	for range 2 {
		go func() { stalled <- postStatus(tasks) }()
	}
	testenv.Eventually(t, "two writes in flight", func() bool { return readMetric(ops, "todo_admission_in_flight") == 8 })
	if got := postStatus(tasks); got != http.StatusServiceUnavailable {
		t.Errorf("a write over the limit: %d", got)
	}

	if got := getStatus(ops + "/readyz"); got != http.StatusOK {
		t.Errorf("/readyz: %d", got)
	}
	health, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil || health.Status != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("health: %v, %v", health, err)
	}
	for range cap(stalled) {
		if got := <-stalled; got != http.StatusServiceUnavailable {
			t.Errorf("a stalled request got status %d", got)
		}
	}
}

// wantOverloaded wants a read to be rejected long before its deadline.
func wantOverloaded(t *testing.T, url string) {
	t.Helper()
	start := time.Now()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	took := time.Since(start)
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" || took > 4*time.Second ||
		resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s: %d after %v, Retry-After %q: %s", url, resp.StatusCode, took, resp.Header.Get("Retry-After"), body)
	}
}

func wantOverloadedOverGRPC(t *testing.T, client pb.TaskServiceClient) {
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

func postStatus(url string) int {
	resp, err := http.Post(url, "application/json", strings.NewReader(`{"title":"A"}`))
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// readMetric returns the integer value of a metric, or -1 if it is absent.
func readMetric(ops, name string) int {
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
