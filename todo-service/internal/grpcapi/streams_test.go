package grpcapi_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	reflection "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/apperr"
	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/task"
)

// streamOpeners open a stream of each kind, and return once it has started or failed.
var streamOpeners = map[string]func(context.Context, *apiFixture) error{
	"changes": func(ctx context.Context, s *apiFixture) error {
		stream, err := pb.NewTaskServiceClient(s.conn).WatchTasks(ctx, &pb.WatchTasksRequest{})
		if err != nil {
			return err
		}
		header, err := stream.Header()
		if err == nil && header.Get("resume-token") == nil {
			_, err = stream.Recv()
		}
		return err
	},
	"health": func(ctx context.Context, s *apiFixture) error {
		stream, err := grpc_health_v1.NewHealthClient(s.conn).Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		return err
	},
	"reflection": func(ctx context.Context, s *apiFixture) error {
		stream, err := reflection.NewServerReflectionClient(s.conn).ServerReflectionInfo(ctx)
		if err != nil {
			return err
		}
		// Send fails if the stream was refused already; Recv returns the reason.
		_ = stream.Send(&reflection.ServerReflectionRequest{MessageRequest: &reflection.ServerReflectionRequest_ListServices{}})
		_, err = stream.Recv()
		return err
	},
}

func TestStreamsOfEveryKindCountTowardsTheLimitOfTheirClient(t *testing.T) {
	t.Parallel()
	for kind, one := range streamOpeners {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := newFixture(t)
			ctx, disconnect := context.WithCancel(t.Context())
			defer disconnect()
			for i := range maxStreams - 1 {
				if err := one(ctx, s); err != nil {
					t.Fatalf("stream %d: %v", i, err)
				}
			}
			for other, another := range streamOpeners {
				err := another(ctx, s)
				if status.Code(err) != codes.ResourceExhausted || !strings.Contains(status.Convert(err).Message(), "too many streams open") || len(status.Convert(err).Details()) != 1 {
					t.Errorf("one more stream of %s: %v", other, err)
				}
			}
			if _, err := grpc_health_v1.NewHealthClient(s.conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil {
				t.Errorf("a check of health: %v", err)
			}
			disconnect()
			none := "# HELP todo_watchers Open streams of changes, gRPC health and reflection.\n# TYPE todo_watchers gauge\ntodo_watchers 0\n"
			testenv.Eventually(t, "no stream is counted", func() bool {
				return testutil.GatherAndCompare(s.metrics, strings.NewReader(none), "todo_watchers") == nil
			})
			if err := one(t.Context(), s); err != nil {
				t.Errorf("a stream after all have ended: %v", err)
			}
		})
	}
}

func TestWatchEndsWithTheResumeTokenInItsTrailer(t *testing.T) {
	t.Parallel()
	event := task.Event{Type: task.Updated}
	for name, test := range map[string]struct {
		log  []task.Announcement
		end  error
		want string
	}{
		"after events":            {[]task.Announcement{{Seq: 41, Event: event}, {Seq: 42, Event: event}}, apperr.New(apperr.Unavailable, "the server is stopping"), "42"},
		"without events":          {nil, apperr.New(apperr.Unavailable, "the server is stopping"), "40"},
		"after an internal error": {[]task.Announcement{{Seq: 41, Event: event}}, errors.New("a defect"), "41"},
		"gone":                    {[]task.Announcement{{Seq: 41, Event: event}}, apperr.New(apperr.Gone, "gone"), ""},
	} {
		s := newFixture(t)
		s.watcher.announcements, s.watcher.err = test.log, test.end
		stream, err := pb.NewTaskServiceClient(s.conn).WatchTasks(t.Context(), &pb.WatchTasksRequest{})
		for err == nil {
			_, err = stream.Recv()
		}
		if got := strings.Join(stream.Trailer().Get("resume-token"), " "); got != test.want {
			t.Errorf("%s: the trailer has the token %q, want %q", name, got, test.want)
		}
	}
}
