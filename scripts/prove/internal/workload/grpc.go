package workload

import (
	"context"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/scripts/prove/internal/history"
)

// grpcTransport sends requests to one replica over gRPC.
type grpcTransport struct{ tasks pb.TaskServiceClient }

// dial returns a connection to a replica, which connects and reconnects by itself.
func dial(addr string) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+addr,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStatsHandler(sentDetector{}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.5, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 2 * time.Second,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 15 * time.Second, Timeout: 10 * time.Second}))
}

func (c grpcTransport) send(ctx context.Context, r request) response {
	var left atomic.Bool
	t, err := c.call(context.WithValue(ctx, sentKey{}, &left), r)
	a := response{status: status.Code(err).String()}
	switch status.Code(err) {
	case codes.OK:
		a.id, a.version, a.done = t.GetId(), t.GetVersion(), t.GetDone()
		if t == nil && r.operation != history.Delete {
			a.result, a.status = ambiguous, "OK, without a task"
		}
	case codes.InvalidArgument, codes.NotFound, codes.FailedPrecondition, codes.AlreadyExists, codes.OutOfRange, codes.PermissionDenied, codes.Unimplemented:
		a.result = refused
	case codes.Aborted:
		a.result = refused
		if r.key != "" { // the conflict is about the key, not the task
			a.result = ambiguous
		}
	case codes.ResourceExhausted:
		a.result = busy
	default:
		a.result = ambiguous
	}
	if a.result != done && !left.Load() {
		a.result = notSent
	}
	return a
}

func (c grpcTransport) call(ctx context.Context, r request) (*pb.Task, error) {
	switch r.operation {
	case history.Create:
		ctx = metadata.AppendToOutgoingContext(ctx, "idempotency-key", r.key)
		req := &pb.CreateTaskRequest{Title: r.title}
		if r.priority != nil {
			req.Priority = *r.priority
		}
		resp, err := c.tasks.CreateTask(ctx, req)
		return resp.GetTask(), err
	case history.Delete:
		_, err := c.tasks.DeleteTask(ctx, &pb.DeleteTaskRequest{Id: r.id, ExpectedVersion: r.expected})
		return nil, err
	case history.Complete:
		if !r.usePatch {
			resp, err := c.tasks.CompleteTask(ctx, &pb.CompleteTaskRequest{Id: r.id, ExpectedVersion: r.expected})
			return resp.GetTask(), err
		}
	}
	req := &pb.UpdateTaskRequest{Id: r.id, ExpectedVersion: r.expected}
	switch r.operation {
	case history.Update:
		req.Title, req.Priority = &r.title, r.priority
	case history.Complete, history.Reopen:
		req.Done = new(r.operation == history.Complete)
	}
	resp, err := c.tasks.UpdateTask(ctx, req)
	return resp.GetTask(), err
}

// sentKey is the context key of whether a call's message was sent.
type sentKey struct{}

// sentDetector is a stats.Handler that notices sent messages. A call that failed before that had
// no effect.
type sentDetector struct{}

// TagRPC is part of stats.Handler.
func (sentDetector) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC is part of stats.Handler.
func (sentDetector) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if _, ok := s.(*stats.OutPayload); !ok {
		return
	}
	if left, ok := ctx.Value(sentKey{}).(*atomic.Bool); ok {
		left.Store(true)
	}
}

// TagConn is part of stats.Handler.
func (sentDetector) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn is part of stats.Handler.
func (sentDetector) HandleConn(context.Context, stats.ConnStats) {}
