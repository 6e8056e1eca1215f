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

// client is what every command shares: where the service is and how to print.
type client struct {
	addr      string
	output    format
	timeout   time.Duration
	retryHint string // how to do it again without doing it twice, when that is not plain
}

// connect returns the service, and what to close when done with it. Nothing is
// sent before the first call.
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
		return nil, nil, usageError{fmt.Errorf("--addr %q is no address: %w", c.addr, err)}
	}
	return pb.NewTaskServiceClient(conn), conn, nil
}

// dial prepares a connection to the service.
func dial(addr string, more ...grpc.DialOption) (*grpc.ClientConn, error) {
	return grpc.NewClient(addr, append(more,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		// By default grpc-go sends no pings, and watch would wait for ever on a
		// connection that died. todo-service refuses pings more often than every 10 s.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
	)...)
}

// callWithTimeout does something with the service within the timeout, and explains its
// failure; doing says what was tried ("show task 3").
func (c *client) callWithTimeout(ctx context.Context, doing string, do func(context.Context, pb.TaskServiceClient) error) error {
	tasks, conn, err := c.connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if err := do(ctx, tasks); err != nil {
		return c.explain(doing, err)
	}
	return nil
}

// explain says what could not be done, why, and what to try.
func (c *client) explain(doing string, err error) error {
	refusal, ok := status.FromError(err)
	if !ok {
		return fmt.Errorf("cannot %s: %w", doing, err)
	}
	why, try := refusal.Message(), "the log of todo-service says more"
	switch wait := retryAfter(refusal); refusal.Code() {
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
		why, try = "interrupted", "look whether it was done all the same with grpc-client list"
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
	if c.retryHint != "" && outcomeUnknown(refusal.Code()) {
		try += "; " + c.retryHint
	}
	return fmt.Errorf("cannot %s: %s; %s", doing, why, try)
}

// outcomeUnknown says whether it may have been done all the same.
func outcomeUnknown(code codes.Code) bool {
	return code == codes.Unavailable || code == codes.DeadlineExceeded || code == codes.Canceled
}

// retryAfter reads how long the service asks to wait; zero when it does not say.
func retryAfter(refusal *status.Status) time.Duration {
	for _, detail := range refusal.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return 0
}
