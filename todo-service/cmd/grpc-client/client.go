package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/config"
)

const (
	defaultTimeout = 10 * time.Second
	minTimeout     = time.Millisecond
	maxTimeout     = 24 * time.Hour
)

// client holds what all commands share: the server's address, the output format and the
// timeout.
type client struct {
	addr      string
	output    format
	timeout   time.Duration
	retryHint string // how to repeat the command without a second effect; "" where it is plain
}

// connect returns a client of the service, and its connection, which the caller closes.
// The connection is opened by the first call.
func (c *client) connect() (pb.TaskServiceClient, io.Closer, error) {
	err := errors.Join(
		config.CheckServerAddrs("--addr", c.addr),
		config.CheckRange("--timeout", c.timeout, minTimeout, maxTimeout),
	)
	if err != nil {
		return nil, nil, usageError{err}
	}
	conn, err := dial(c.addr)
	if err != nil {
		return nil, nil, usageError{fmt.Errorf("--addr %q is not an address: %w", c.addr, err)}
	}
	return pb.NewTaskServiceClient(conn), conn, nil
}

// dial returns a connection to the service that is opened by the first call.
func dial(addr string, more ...grpc.DialOption) (*grpc.ClientConn, error) {
	return grpc.NewClient(addr, append(more,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		// grpc-go sends no pings by default, so a watch would wait for ever on a dead
		// connection. todo-service disconnects clients that ping more often than every 10 s.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
	)...)
}

// callWithTimeout calls do with a client of the service, and explains its error. action
// names what do does ("show task 3").
func (c *client) callWithTimeout(ctx context.Context, action string, do func(context.Context, pb.TaskServiceClient) error) error {
	tasks, conn, err := c.connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if err := do(ctx, tasks); err != nil {
		return c.explain(action, err)
	}
	return nil
}

// explain returns an error that says what failed, why, and what the user can try.
func (c *client) explain(action string, err error) error {
	st, ok := status.FromError(err)
	if !ok {
		return fmt.Errorf("cannot %s: %w", action, err)
	}
	why, try := st.Message(), "the log of todo-service says more"
	switch wait := retryAfter(st); st.Code() {
	case codes.Unavailable:
		if wait > 0 {
			try = "try again in " + wait.String()
			break
		}
		if _, dialing, ok := strings.Cut(why, "while dialing: "); ok {
			why = strings.TrimSuffix(dialing, `"`)
		}
		why = fmt.Sprintf("%s does not answer (%s)", c.addr, why)
		try = "start todo-service, or name its address with --addr"
	case codes.DeadlineExceeded:
		why = fmt.Sprintf("no answer from %s within %s", c.addr, c.timeout)
		try = "try again, or wait longer with --timeout"
	case codes.Canceled:
		why, try = "interrupted", "check with grpc-client list whether it was done"
	case codes.ResourceExhausted:
		if try = "send less"; wait > 0 {
			try = "try again in " + wait.String()
		}
	case codes.NotFound:
		try = "see which tasks there are with grpc-client list"
	case codes.InvalidArgument:
		try = "correct it and try again"
	case codes.OutOfRange:
		try = "watch without --from, then grpc-client list"
	case codes.Unimplemented:
		why, try = c.addr+" is not todo-service, or an older one", "check --addr"
	}
	if c.retryHint != "" && outcomeUnknown(st.Code()) {
		try += "; " + c.retryHint
	}
	return fmt.Errorf("cannot %s: %s; %s", action, why, try)
}

// outcomeUnknown reports whether the service may have done what the call asked for.
func outcomeUnknown(code codes.Code) bool {
	return code == codes.Unavailable || code == codes.DeadlineExceeded || code == codes.Canceled
}

// retryAfter returns the wait that the service asks for, or zero.
func retryAfter(st *status.Status) time.Duration {
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return 0
}
