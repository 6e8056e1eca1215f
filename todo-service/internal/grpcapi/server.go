// Package grpcapi implements the gRPC handlers of TaskService. A handler decodes the
// request, calls task.Service, and encodes the response. The rules are in package task;
// platform/grpcserver turns errors into statuses.
package grpcapi

import (
	"context"
	"iter"
	"math"
	"net/netip"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/grpcserver"
	"example.com/todo/todo-service/internal/eventcodec"
	"example.com/todo/todo-service/internal/ratelimit"
	"example.com/todo/todo-service/internal/task"
)

// Config holds the dependencies of the service.
type Config struct {
	Tasks *task.Service
	// Owner returns the owner of the tasks that a request with this context reads and writes.
	Owner func(ctx context.Context) task.Owner
	// Allow counts a call of a client and decides whether it may pass. It fails open: a
	// call that it cannot count passes.
	Allow func(ctx context.Context, client netip.Addr) ratelimit.Decision
	// ClientIP resolves the IP address of a call's client.
	ClientIP func(ctx context.Context) netip.Addr
	// Watch follows the event log; watch.Hub documents the contract.
	Watch func(ctx context.Context, owner task.Owner, token string) (iter.Seq2[task.Announcement, error], error)
	// AcquireStream counts a stream until release is called; at a limit, in total or of the
	// client, the error is apperr.RateLimited.
	AcquireStream func(client ratelimit.Client) (release func(), err error)
	// SignIn is nil where there is no sign-in.
	SignIn *SignIn
}

// Server is the gRPC service TaskService.
type Server struct {
	pb.UnimplementedTaskServiceServer
	cfg    Config
	events *eventcodec.EncodeCache[grpcserver.Encoded]
}

// New returns TaskService.
func New(cfg Config) *Server {
	return &Server{cfg: cfg, events: eventcodec.NewEncodeCache(encodeEvent)}
}

// Register adds the service to a gRPC server.
func (s *Server) Register(registrar grpc.ServiceRegistrar) {
	pb.RegisterTaskServiceServer(registrar, s)
}

// GetTask returns one task.
func (s *Server) GetTask(ctx context.Context, req *pb.GetTaskRequest) (*pb.GetTaskResponse, error) {
	t, err := s.cfg.Tasks.Get(ctx, s.cfg.Owner(ctx), req.GetId())
	return &pb.GetTaskResponse{Task: taskMessage(t)}, err
}

// ListTasks returns a page of tasks, and the number of tasks on all pages.
func (s *Server) ListTasks(ctx context.Context, req *pb.ListTasksRequest) (*pb.ListTasksResponse, error) {
	var done *bool
	if req.GetDoneOnly() {
		done = &req.DoneOnly
	}
	owner := s.cfg.Owner(ctx)
	page, _, err := s.cfg.Tasks.List(ctx, owner, task.Query{
		Done: done, Order: task.Order(req.GetSort()), Limit: int(req.GetLimit()), Offset: int(req.GetOffset()),
	})
	if err != nil {
		return nil, err
	}
	counts, err := s.cfg.Tasks.Count(ctx, owner)
	if err != nil {
		return nil, err
	}
	total := counts.Total
	if done != nil {
		total = counts.Done
	}
	if len(page) > 0 { // the total may be a second old, but must not be below the tasks of this page
		total = max(total, int64(req.GetOffset())+int64(len(page)))
	}
	response := &pb.ListTasksResponse{Tasks: make([]*pb.Task, len(page)), Total: int32(min(total, math.MaxInt32))}
	for i, t := range page {
		response.Tasks[i] = taskMessage(t)
	}
	return response, nil
}

// CountTasks returns the numbers of tasks.
func (s *Server) CountTasks(ctx context.Context, _ *pb.CountTasksRequest) (*pb.CountTasksResponse, error) {
	counts, err := s.cfg.Tasks.Count(ctx, s.cfg.Owner(ctx))
	return &pb.CountTasksResponse{Total: counts.Total, Open: counts.Open, Done: counts.Done}, err
}

// CreateTask creates a task, once for each idempotency key in the metadata.
func (s *Server) CreateTask(ctx context.Context, req *pb.CreateTaskRequest) (*pb.CreateTaskResponse, error) {
	key, err := task.ParseIdempotencyKey(metadata.ValueFromIncomingContext(ctx, "idempotency-key"))
	if err != nil {
		return nil, err
	}
	t, err := s.cfg.Tasks.Create(ctx, s.cfg.Owner(ctx), task.Draft{Title: req.GetTitle(), Priority: int(req.GetPriority()), Key: key})
	return &pb.CreateTaskResponse{Task: taskMessage(t)}, err
}

// CompleteTask completes a task.
func (s *Server) CompleteTask(ctx context.Context, req *pb.CompleteTaskRequest) (*pb.CompleteTaskResponse, error) {
	t, err := s.cfg.Tasks.Change(ctx, s.cfg.Owner(ctx), req.GetId(), task.Change{Done: new(true)}, expectedVersions(req.ExpectedVersion))
	return &pb.CompleteTaskResponse{Task: taskMessage(t)}, err
}

// UpdateTask changes the fields of the request's mask, or, without a mask, all fields that
// the request has.
func (s *Server) UpdateTask(ctx context.Context, req *pb.UpdateTaskRequest) (*pb.UpdateTaskResponse, error) {
	c, err := changeFromRequest(req)
	if err != nil {
		return nil, err
	}
	t, err := s.cfg.Tasks.Change(ctx, s.cfg.Owner(ctx), req.GetId(), c, expectedVersions(req.ExpectedVersion))
	return &pb.UpdateTaskResponse{Task: taskMessage(t)}, err
}

// DeleteTask deletes a task.
func (s *Server) DeleteTask(ctx context.Context, req *pb.DeleteTaskRequest) (*pb.DeleteTaskResponse, error) {
	return &pb.DeleteTaskResponse{}, s.cfg.Tasks.Delete(ctx, s.cfg.Owner(ctx), req.GetId(), expectedVersions(req.ExpectedVersion))
}

func expectedVersions(version *int64) []int64 {
	if version == nil {
		return nil
	}
	return []int64{*version}
}

// ListTaskEvents returns a page of a task's events, oldest first.
func (s *Server) ListTaskEvents(ctx context.Context, req *pb.ListTaskEventsRequest) (*pb.ListTaskEventsResponse, error) {
	events, more, err := s.cfg.Tasks.History(ctx, s.cfg.Owner(ctx), req.GetId(), req.GetAfter(), int(req.GetLimit()))
	if err != nil {
		return nil, err
	}
	response := &pb.ListTaskEventsResponse{Events: make([]*pb.TaskEvent, len(events))}
	for i, e := range events {
		response.Events[i] = eventMessage(e)
	}
	if more {
		response.NextAfter = events[len(events)-1].Task.Version
	}
	return response, nil
}
