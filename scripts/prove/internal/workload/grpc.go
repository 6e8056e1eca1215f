package workload

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
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
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.5, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 2 * time.Second,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 15 * time.Second, Timeout: 10 * time.Second}))
}

func (c grpcTransport) send(ctx context.Context, r request) response {
	var replica peer.Peer
	var trailer metadata.MD
	t, err := c.call(withToken(ctx, r.token), r, grpc.Peer(&replica), grpc.Trailer(&trailer))
	a := response{
		result: ambiguous, status: status.Code(err).String(),
		task: toTask(t),
	}
	switch status.Code(err) {
	case codes.Unauthenticated:
		a.result = notAdmitted
	case codes.OK:
		a.result = done
		if t == nil && r.operation != history.Delete {
			return response{result: ambiguous, status: "OK, without a task"}
		}
	case codes.InvalidArgument, codes.NotFound, codes.FailedPrecondition, codes.AlreadyExists, codes.OutOfRange,
		codes.PermissionDenied, codes.Unimplemented:
		a.result = refused
	case codes.Aborted:
		if r.key == "" { // otherwise the conflict is about the key, not the task
			a.result = refused
		}
	case codes.ResourceExhausted:
		a.result = busy
	case codes.Unknown, codes.Internal, codes.Unavailable, codes.DataLoss, codes.DeadlineExceeded:
		// The client gives some of these codes to calls without a response. Only a response has a trailer.
		a.isServerError = len(trailer) > 0
		if a.isServerError && strings.Contains(status.Convert(err).Message(), uncheckedSession) {
			a.result = notAdmitted
		}
	}
	// A call that never had a stream on a connection has no peer, and no effect.
	if replica.Addr == nil {
		a.result = notSent
	}
	return a
}

func (c grpcTransport) call(ctx context.Context, r request, options ...grpc.CallOption) (*pb.Task, error) {
	switch {
	case r.operation == history.Create:
		ctx = metadata.AppendToOutgoingContext(ctx, "idempotency-key", r.key)
		req := &pb.CreateTaskRequest{Title: *r.fields.Title, Priority: *r.fields.Priority}
		resp, err := c.tasks.CreateTask(ctx, req, options...)
		return resp.GetTask(), err
	case r.operation == history.Delete:
		_, err := c.tasks.DeleteTask(ctx, &pb.DeleteTaskRequest{Id: r.id, ExpectedVersion: r.expected}, options...)
		return nil, err
	case r.fields == fields{}:
		resp, err := c.tasks.CompleteTask(ctx, &pb.CompleteTaskRequest{Id: r.id, ExpectedVersion: r.expected}, options...)
		return resp.GetTask(), err
	}
	resp, err := c.tasks.UpdateTask(ctx, &pb.UpdateTaskRequest{
		Id: r.id, ExpectedVersion: r.expected, Title: r.fields.Title, Priority: r.fields.Priority, Done: r.fields.Done,
	}, options...)
	return resp.GetTask(), err
}

// withToken adds the token of a session to a call.
func withToken(ctx context.Context, token string) context.Context {
	if token == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

func toTask(t *pb.Task) task {
	return task{ID: t.GetId(), Title: t.GetTitle(), Version: t.GetVersion(), Done: t.GetDone()}
}
