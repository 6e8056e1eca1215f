package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/process"
)

func (c *cli) watchCommand() *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Print every change as it happens, until interrupted",
		Long: "Print every change as it happens, until interrupted.\n\n" +
			"Each line begins with a token; --from TOKEN resumes after that change.\n" +
			"With --output json each line is a JSON document.",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.watch(cmd, from)
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "resume after the change with this `token`")
	return cmd
}

// watch prints events until the user interrupts it (nil) or the stream fails (an error that
// says how to resume).
func (c *cli) watch(cmd *cobra.Command, token string) error {
	conn, err := c.connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	received, err := c.printEvents(cmd, pb.NewTaskServiceClient(conn), token)
	switch {
	case cmd.Context().Err() != nil:
		return nil
	case process.IsBrokenPipe(err):
		return err
	case received == token, status.Code(err) == codes.OutOfRange:
		return c.explain("watch the tasks", err)
	}
	return fmt.Errorf("%w, then resume with --from %s", c.explain("continue the watch", err), received)
}

// printEvents prints events until the stream ends, and returns the latest token.
func (c *cli) printEvents(cmd *cobra.Command, tasks pb.TaskServiceClient, token string) (string, error) {
	stream, err := tasks.WatchTasks(cmd.Context(), &pb.WatchTasksRequest{ResumeToken: token})
	if err != nil {
		return token, err
	}
	if header, err := stream.Header(); err == nil {
		for _, start := range header.Get("resume-token") { // one value; none from older versions
			token = start
		}
	}
	for {
		event, err := stream.Recv()
		if err != nil {
			return token, err
		}
		if err := c.print(cmd.OutOrStdout(), watchResponse(event)); err != nil {
			return token, err
		}
		token = event.GetResumeToken()
	}
}
