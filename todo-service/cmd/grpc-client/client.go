package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/config"
)

// cli holds the flags: those of all commands, and those of sign-in.
type cli struct {
	addr      string
	output    string // table or json
	timeout   time.Duration
	retryHint string // how to repeat the command without a second effect; "" where it is plain
	tls       tlsFlags
	httpURL   string // of the commands about sign-in
	email     string // of login
}

// checkFlags is the PersistentPreRunE of the root command.
func (c *cli) checkFlags(*cobra.Command, []string) error {
	err := errors.Join(
		config.CheckServerAddrs("--addr", c.addr),
		config.CheckURL("--http-url", c.httpURL, "https", "http"),
		config.CheckRange("--timeout", c.timeout, time.Millisecond, 24*time.Hour),
	)
	if c.output != "table" && c.output != "json" {
		err = errors.Join(err, config.Invalid("--output", "must be table or json"))
	}
	if err != nil {
		return usageError{err}
	}
	return nil
}

// call prints the response of do, or explains its error. action names what do does
// ("show task 3").
func (c *cli) call(cmd *cobra.Command, action string, do func(context.Context, pb.TaskServiceClient) (response, error)) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), c.timeout)
	defer cancel()
	r, err := do(ctx, pb.NewTaskServiceClient(conn))
	if err != nil {
		return c.explain(action, err)
	}
	return c.print(cmd.OutOrStdout(), r)
}

// hints say what the user can try after an error.
var hints = map[codes.Code]string{
	codes.Unavailable:       "start todo-service, or name its address with --addr",
	codes.DeadlineExceeded:  "try again, or wait longer with --timeout",
	codes.Canceled:          "check with grpc-client list whether it was done",
	codes.ResourceExhausted: "send less",
	codes.NotFound:          "see which tasks there are with grpc-client list",
	codes.InvalidArgument:   "correct it and try again",
	codes.OutOfRange:        "watch without --from, then grpc-client list",
	codes.Unimplemented:     "check --addr",
}

// tlsFailure is in the messages of grpc-go about a handshake that failed.
const tlsFailure = "authentication handshake failed: "

// explain returns an error that says what failed, why, and what the user can try.
func (c *cli) explain(action string, err error) error {
	st, ok := status.FromError(err)
	if !ok {
		return fmt.Errorf("cannot %s: %w", action, err)
	}
	why, try := st.Message(), cmp.Or(hints[st.Code()], "the log of todo-service says more")
	switch wait := retryAfter(st); {
	case wait > 0:
		try = "try again in " + wait.String()
	case st.Code() == codes.Unavailable && strings.Contains(why, tlsFailure):
		_, why, _ = strings.Cut(why, tlsFailure)
		why, try = fmt.Sprintf("%s is not trusted (%s)", c.addr, strings.TrimSuffix(why, `"`)), "check --ca, --cert and --addr"
	case st.Code() == codes.Unavailable:
		if _, dialing, ok := strings.Cut(why, "while dialing: "); ok {
			why = strings.TrimSuffix(dialing, `"`)
		}
		why = fmt.Sprintf("%s does not answer (%s)", c.addr, why)
	case st.Code() == codes.DeadlineExceeded:
		why = fmt.Sprintf("no answer from %s within %s", c.addr, c.timeout)
	case st.Code() == codes.Canceled:
		why = "interrupted"
	case st.Code() == codes.Unauthenticated:
		why, try = "there is no valid session for "+c.addr, signInHint()
	case st.Code() == codes.Unimplemented:
		why = c.addr + " is not todo-service, or an older one"
	}
	outcomeUnknown := []codes.Code{codes.Unavailable, codes.DeadlineExceeded, codes.Canceled}
	if c.retryHint != "" && slices.Contains(outcomeUnknown, st.Code()) {
		try += "; " + c.retryHint
	}
	return fmt.Errorf("cannot %s: %s; %s", action, why, try)
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
