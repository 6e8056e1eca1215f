package grpcapi_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

func TestListTasksReturnsAPageAndTheTotal(t *testing.T) {
	t.Parallel()
	s := newFixture(t)
	client := pb.NewTaskServiceClient(s.conn)
	for range 5 {
		if _, err := client.CreateTask(t.Context(), &pb.CreateTaskRequest{Title: "A"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []int64{2, 3, 5} {
		if _, err := client.CompleteTask(t.Context(), &pb.CompleteTaskRequest{Id: id}); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		request *pb.ListTasksRequest
		ids     []int64
		total   int32
	}{
		{&pb.ListTasksRequest{}, []int64{1, 2, 3, 4, 5}, 5},
		{&pb.ListTasksRequest{Limit: 1000}, []int64{1, 2, 3, 4, 5}, 5},
		{&pb.ListTasksRequest{Limit: 2}, []int64{1, 2}, 5},
		{&pb.ListTasksRequest{Limit: 2, Offset: 4}, []int64{5}, 5},
		{&pb.ListTasksRequest{Offset: 100_000}, nil, 5},
		{&pb.ListTasksRequest{DoneOnly: true}, []int64{2, 3, 5}, 3},
		{&pb.ListTasksRequest{DoneOnly: true, Limit: 1, Offset: 1}, []int64{3}, 3},
		{&pb.ListTasksRequest{Sort: "id", Limit: 2}, []int64{1, 2}, 5},
		{&pb.ListTasksRequest{Sort: "-id", Limit: 2, Offset: 1}, []int64{4, 3}, 5},
		{&pb.ListTasksRequest{Sort: "-id", DoneOnly: true}, []int64{5, 3, 2}, 3},
		{&pb.ListTasksRequest{Sort: "priority", Limit: 2}, []int64{1, 2}, 5},
	} {
		response, err := client.ListTasks(t.Context(), test.request)
		if err != nil {
			t.Errorf("%v: %v", test.request, err)
		}
		var ids []int64
		for _, one := range response.GetTasks() {
			ids = append(ids, one.GetId())
		}
		if diff := cmp.Diff(test.ids, ids); diff != "" || response.GetTotal() != test.total {
			t.Errorf("%v: total %d, want %d; tasks (-want +got):\n%s", test.request, response.GetTotal(), test.total, diff)
		}
	}
}

func TestListTasksRefusesAPageOutOfBounds(t *testing.T) {
	t.Parallel()
	s := newFixture(t)
	for field, requests := range map[string][]*pb.ListTasksRequest{
		"limit":  {{Limit: -1}, {Limit: 1001}, {Limit: math.MaxInt32}, {Limit: math.MinInt32}},
		"offset": {{Offset: -1}, {Offset: 100_001}, {Offset: math.MaxInt32}, {Offset: math.MinInt32}},
	} {
		for _, request := range requests {
			_, err := pb.NewTaskServiceClient(s.conn).ListTasks(t.Context(), request)
			if got := violations(err); status.Code(err) != codes.InvalidArgument || !cmp.Equal(got, []string{field}) {
				t.Errorf("%v: %v, fields %q", request, err, got)
			}
		}
	}
}

func TestCreateTaskRefusesAMalformedKey(t *testing.T) {
	t.Parallel()
	s := newFixture(t)
	for _, keys := range [][]string{{""}, {"a b"}, {`"a`}, {strings.Repeat("k", 256)}, {"a", "a"}} {
		ctx := metadata.NewOutgoingContext(t.Context(), metadata.MD{"idempotency-key": keys})
		_, err := pb.NewTaskServiceClient(s.conn).CreateTask(ctx, &pb.CreateTaskRequest{Title: "A"})
		if got := violations(err); status.Code(err) != codes.InvalidArgument || !cmp.Equal(got, []string{"Idempotency-Key"}) {
			t.Errorf("%q: %v, fields %q", keys, err, got)
		}
	}
	if n, err := s.store.Count(t.Context(), owner); err != nil || n.Total != 0 {
		t.Errorf("there are %d tasks, error %v", n.Total, err)
	}
}

func TestWatchTasksSendsEachChangeWithItsToken(t *testing.T) {
	t.Parallel()
	s := newFixture(t)
	created := task.Task{ID: 7, Title: "A", Priority: 5, CreatedAt: start, Version: 1}
	completed := created
	completed.Done, completed.Version, completed.CompletedAt = true, 2, new(start.Add(time.Second))
	s.watcher.announcements = []task.Announcement{
		{Seq: 41, Event: task.Event{ID: "e41", Type: task.Created, Task: created, At: start}},
		{Seq: 41}, // a bookmark
		{Seq: math.MaxInt64, Event: task.Event{ID: "last", Type: task.Completed, Task: completed, At: start.Add(time.Second), Owner: 7}},
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := pb.NewTaskServiceClient(s.conn).WatchTasks(ctx, &pb.WatchTasksRequest{ResumeToken: "40"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []*pb.TaskEvent{
		{EventType: "task.created", ResumeToken: "41", EventId: "e41", Timestamp: timestamppb.New(start), Task: &pb.Task{
			Id: 7, Title: "A", Priority: 5, CreatedAt: timestamppb.New(start), Version: 1,
		}},
		{EventType: "task.completed", ResumeToken: "9223372036854775807", EventId: "last", Timestamp: timestamppb.New(start.Add(time.Second)), UserId: new(int64(7)), Task: &pb.Task{
			Id: 7, Title: "A", Priority: 5, Done: true, CreatedAt: timestamppb.New(start), CompletedAt: timestamppb.New(start.Add(time.Second)), Version: 2,
		}},
	} {
		got, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("event (-want +got):\n%s", diff)
		}
	}
	if s.watcher.token != "40" || s.watcher.watching != owner {
		t.Errorf("owner %d watched from %q, want owner %d from 40", s.watcher.watching, s.watcher.token, owner)
	}
	cancel()
	if _, err := stream.Recv(); status.Code(err) != codes.Canceled {
		t.Errorf("after the cancellation: %v", err)
	}
}

func TestWatchTasksSendsItsHeaderBeforeTheFirstEvent(t *testing.T) {
	t.Parallel()
	stream, err := pb.NewTaskServiceClient(newFixture(t).conn).WatchTasks(t.Context(), &pb.WatchTasksRequest{})
	if err != nil {
		t.Fatal(err)
	}
	header, err := stream.Header() // blocks for ever if it is sent with the first event only
	if diff := cmp.Diff([]string{"40"}, header.Get("resume-token")); diff != "" || err != nil {
		t.Errorf("error %v; resume-token (-want +got):\n%s", err, diff)
	}
}

func TestWatchTasksEndsWithTheStatusOfItsError(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		code codes.Code
	}{
		{apperr.New(apperr.Gone, "the position is not in the log"), codes.OutOfRange},
		{apperr.New(apperr.Unavailable, "the service stops"), codes.Unavailable},
		{errInternal, codes.Internal},
	} {
		s := newFixture(t)
		s.watcher.err = test.err
		stream, err := pb.NewTaskServiceClient(s.conn).WatchTasks(t.Context(), &pb.WatchTasksRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); status.Code(err) != test.code || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v became %v", test.err, err)
		}
	}
}

func TestAnErrorOfTheStoreIsInternalWithoutItsText(t *testing.T) {
	t.Parallel()
	s := newFixtureOver(t, brokenStore{})
	client := pb.NewTaskServiceClient(s.conn)
	_, get := client.GetTask(t.Context(), &pb.GetTaskRequest{Id: 1})
	_, list := client.ListTasks(t.Context(), &pb.ListTasksRequest{})
	_, count := client.CountTasks(t.Context(), &pb.CountTasksRequest{})
	for _, err := range []error{get, list, count} {
		if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "secret") {
			t.Error(err)
		}
	}
}

// violations returns the invalid fields that an error names.
func violations(err error) []string {
	var fields []string
	for _, detail := range status.Convert(err).Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			for _, violation := range bad.GetFieldViolations() {
				fields = append(fields, violation.GetField())
			}
		}
	}
	return fields
}
