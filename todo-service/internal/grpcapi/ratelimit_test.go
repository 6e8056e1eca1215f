package grpcapi_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	reflection "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/todo-service/internal/ratelimit"
	"example.com/todo/todo-service/internal/task"
)

func TestRateLimitCountsEachCallOnceByClientAddress(t *testing.T) {
	t.Parallel()
	s := newFixture(t)
	client := pb.NewTaskServiceClient(s.conn)
	for range 2 {
		if _, err := client.ListTasks(t.Context(), &pb.ListTasksRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.GetTask(t.Context(), &pb.GetTaskRequest{}); status.Code(err) != codes.InvalidArgument {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"127.0.0.1", "127.0.0.1", "127.0.0.1"}, s.limiter.clients); diff != "" {
		t.Errorf("clients (-want +got):\n%s", diff)
	}
}

func TestRateLimitCountsAStreamOnce(t *testing.T) {
	t.Parallel()
	s := newFixture(t)
	s.watcher.announcements = slices.Repeat([]task.Announcement{{Seq: 1, Event: task.Event{Type: task.Updated}}}, 100)
	stream, err := pb.NewTaskServiceClient(s.conn).WatchTasks(t.Context(), &pb.WatchTasksRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for range s.watcher.announcements {
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	if calls := s.limiter.calls(); calls != 1 {
		t.Errorf("counted %d times", calls)
	}
}

func TestRateLimitRefusesCallsAndStreamsAtTheLimit(t *testing.T) {
	t.Parallel()
	s := newFixture(t)
	s.limiter.decision = ratelimit.Decision{Limit: 60, Window: time.Minute, RetryAfter: 2500 * time.Millisecond}
	client := pb.NewTaskServiceClient(s.conn)
	_, unary := client.CreateTask(t.Context(), &pb.CreateTaskRequest{Title: "A"})
	stream, err := client.WatchTasks(t.Context(), &pb.WatchTasksRequest{})
	if err != nil {
		t.Fatal(err)
	}
	_, streamed := stream.Recv()
	for _, err := range []error{unary, streamed} {
		refusal := status.Convert(err)
		var wait time.Duration
		for _, detail := range refusal.Details() {
			if retry, ok := detail.(*errdetails.RetryInfo); ok {
				wait = retry.GetRetryDelay().AsDuration()
			}
		}
		if refusal.Code() != codes.ResourceExhausted || refusal.Message() != "too many requests" || wait != 2500*time.Millisecond {
			t.Errorf("%v, retry after %s", err, wait)
		}
	}
	if n, err := s.store.Count(t.Context(), owner); n.Total != 0 || err != nil {
		t.Errorf("%d tasks, error %v", n.Total, err)
	}
}

func TestRateLimitDoesNotCountHealthAndReflection(t *testing.T) {
	t.Parallel()
	s := newFixture(t)
	s.limiter.decision = ratelimit.Decision{}
	if _, err := grpc_health_v1.NewHealthClient(s.conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Error(err)
	}
	stream, err := reflection.NewServerReflectionClient(s.conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	request := &reflection.ServerReflectionRequest{MessageRequest: &reflection.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "task.TaskService"}}
	if err := stream.Send(request); err != nil {
		t.Fatal(err)
	}
	if answer, err := stream.Recv(); err != nil || answer.GetFileDescriptorResponse() == nil {
		t.Errorf("reflection does not know TaskService: %v, error %v", answer, err)
	}
	if calls := s.limiter.calls(); calls != 0 {
		t.Errorf("counted %d times", calls)
	}
}
