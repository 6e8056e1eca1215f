package transporttest

import (
	"context"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/todo-service/internal/task"
)

type grpcClient struct{ service pb.TaskServiceClient }

func (c grpcClient) create(ctx context.Context, title string, priority int, keys ...string) outcome {
	for _, key := range keys {
		ctx = metadata.AppendToOutgoingContext(ctx, "idempotency-key", key)
	}
	response, err := c.service.CreateTask(ctx, &pb.CreateTaskRequest{Title: title, Priority: int32(priority)})
	return toOutcome(err, response.GetTask())
}

func (c grpcClient) get(ctx context.Context, id int64) outcome {
	response, err := c.service.GetTask(ctx, &pb.GetTaskRequest{Id: id})
	return toOutcome(err, response.GetTask())
}

func (c grpcClient) list(ctx context.Context, onlyDone bool, sort string, limit int) outcome {
	response, err := c.service.ListTasks(ctx, &pb.ListTasksRequest{DoneOnly: onlyDone, Sort: sort, Limit: int32(limit)})
	return toOutcome(err, response.GetTasks()...)
}

func (c grpcClient) count(ctx context.Context) outcome {
	response, err := c.service.CountTasks(ctx, &pb.CountTasksRequest{})
	got := toOutcome(err)
	got.Counts = task.Counts{Total: response.GetTotal(), Open: response.GetOpen(), Done: response.GetDone()}
	return got
}

func (c grpcClient) change(ctx context.Context, id int64, change task.Change, expected *int64) outcome {
	request := &pb.UpdateTaskRequest{Id: id, Title: change.Title, Done: change.Done, ExpectedVersion: expected}
	if change.Priority != nil {
		request.Priority = new(int32(*change.Priority))
	}
	response, err := c.service.UpdateTask(ctx, request)
	return toOutcome(err, response.GetTask())
}

func (c grpcClient) complete(ctx context.Context, id int64, expected *int64) outcome {
	response, err := c.service.CompleteTask(ctx, &pb.CompleteTaskRequest{Id: id, ExpectedVersion: expected})
	return toOutcome(err, response.GetTask())
}

func (c grpcClient) remove(ctx context.Context, id int64, expected *int64) outcome {
	_, err := c.service.DeleteTask(ctx, &pb.DeleteTaskRequest{Id: id, ExpectedVersion: expected})
	return toOutcome(err)
}

func (c grpcClient) history(ctx context.Context, id, after int64, limit int) outcome {
	response, err := c.service.ListTaskEvents(ctx, &pb.ListTaskEventsRequest{Id: id, After: after, Limit: int32(limit)})
	if err != nil {
		return statusOutcome(status.Convert(err))
	}
	got := outcome{Next: response.GetNextAfter()}
	for _, m := range response.GetEvents() {
		if m.GetResumeToken() != "" {
			return unexpectedOutcome("an event of the history has the token " + m.GetResumeToken())
		}
		got.Events = append(got.Events, task.Event{
			Type: task.EventType(m.GetEventType()), Task: toTask(m.GetTask()), Owner: task.Owner(m.GetUserId()), At: m.GetTimestamp().AsTime(),
		})
	}
	return got
}

func toOutcome(err error, messages ...*pb.Task) outcome {
	if err != nil {
		return statusOutcome(status.Convert(err))
	}
	var all []task.Task
	for _, m := range messages {
		all = append(all, toTask(m))
	}
	return outcome{Tasks: all}
}

func toTask(m *pb.Task) task.Task {
	t := task.Task{
		ID: m.GetId(), Title: m.GetTitle(), Priority: int(m.GetPriority()), Done: m.GetDone(),
		CreatedAt: m.GetCreatedAt().AsTime(), Version: m.GetVersion(),
	}
	if m.GetCompletedAt() != nil {
		t.CompletedAt = new(m.GetCompletedAt().AsTime())
	}
	return t
}

func statusOutcome(s *status.Status) outcome {
	kind, ok := map[codes.Code]string{
		codes.InvalidArgument:   invalid,
		codes.NotFound:          notFound,
		codes.Aborted:           preconditionFailed,
		codes.ResourceExhausted: rateLimited,
	}[s.Code()]
	if !ok {
		return unexpectedOutcome(s)
	}
	var fields []string
	for _, detail := range s.Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			for _, violation := range bad.GetFieldViolations() {
				fields = append(fields, violation.GetField())
			}
		}
	}
	return refusal(kind, fields...)
}
