package grpcapi_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	reflection "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/apperr"
	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/task"
)

// open opens a stream of each kind, and returns once it has begun or was refused.
var open = map[string]func(context.Context, *service) error{
	"changes": func(ctx context.Context, s *service) error {
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
	"health": func(ctx context.Context, s *service) error {
		stream, err := grpc_health_v1.NewHealthClient(s.conn).Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		return err
	},
	"reflection": func(ctx context.Context, s *service) error {
		stream, err := reflection.NewServerReflectionClient(s.conn).ServerReflectionInfo(ctx)
		if err != nil {
			return err
		}
		// The stream may have been refused already; what it was refused with is received.
		_ = stream.Send(&reflection.ServerReflectionRequest{MessageRequest: &reflection.ServerReflectionRequest_ListServices{}})
		_, err = stream.Recv()
		return err
	},
}

func TestStreamsOfEachKindCountForTheirClient(t *testing.T) {
	t.Parallel()
	for kind, one := range open {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			for i := range maxStreams - 1 {
				if err := one(ctx, s); err != nil {
					t.Fatalf("stream %d: %v", i, err)
				}
			}
			for other, another := range open {
				err := another(ctx, s)
				if status.Code(err) != codes.ResourceExhausted || !strings.Contains(status.Convert(err).Message(), "as many streams open") || len(status.Convert(err).Details()) != 1 {
					t.Errorf("then one of %s: %v", other, err)
				}
			}
			if _, err := grpc_health_v1.NewHealthClient(s.conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil {
				t.Errorf("a check of health: %v", err)
			}
			leave()
			testenv.Eventually(t, "none counts any more", func() bool { return openStreams(t, s.metrics) == 0 })
			if err := one(t.Context(), s); err != nil {
				t.Errorf("one when all have ended: %v", err)
			}
		})
	}
}

func openStreams(t *testing.T, metrics prometheus.Gatherer) float64 {
	t.Helper()
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "todo_watchers" {
			return family.Metric[0].Gauge.GetValue()
		}
	}
	return -1
}

func TestAWatchThatEndsNamesThePlaceToResumeIn(t *testing.T) {
	t.Parallel()
	event := task.Event{Type: task.Updated}
	for name, test := range map[string]struct {
		log  []task.Announcement
		end  error
		want string
	}{
		"after events":   {[]task.Announcement{{Seq: 41, Event: event}, {Seq: 42, Event: event}}, apperr.New(apperr.Unavailable, "the server is stopping"), "42"},
		"without any":    {nil, apperr.New(apperr.Unavailable, "the server is stopping"), "40"},
		"after a defect": {[]task.Announcement{{Seq: 41, Event: event}}, errors.New("a defect"), "41"},
		"gone":           {[]task.Announcement{{Seq: 41, Event: event}}, apperr.New(apperr.Gone, "gone"), ""},
	} {
		s := newService(t)
		s.watcher.log, s.watcher.err = test.log, test.end
		stream, err := pb.NewTaskServiceClient(s.conn).WatchTasks(t.Context(), &pb.WatchTasksRequest{})
		for err == nil {
			_, err = stream.Recv()
		}
		if got := strings.Join(stream.Trailer().Get("resume-token"), " "); got != test.want {
			t.Errorf("%s: the trailer names %q, want %q", name, got, test.want)
		}
	}
}
