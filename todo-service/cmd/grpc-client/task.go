package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"google.golang.org/grpc/metadata"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/printable"
)

const defaultTitle = "Learn gRPC"

// createAndList runs without a command: it creates a task and lists all tasks.
func (c *client) createAndList(cmd *cobra.Command, _ []string) error {
	var created *pb.Task
	var list *pb.ListTasksResponse
	err := c.callWithTimeout(cmd.Context(), "create a task and list the tasks", func(ctx context.Context, tasks pb.TaskServiceClient) error {
		response, err := tasks.CreateTask(ctx, &pb.CreateTaskRequest{Title: defaultTitle})
		if err != nil {
			return err
		}
		created = response.GetTask()
		list, err = tasks.ListTasks(ctx, &pb.ListTasksRequest{})
		return err
	})
	if err != nil {
		return err
	}
	return c.output.print(cmd.OutOrStdout(), struct {
		Created taskView `json:"created"`
		listView
	}{view(created), viewList(list)}, func(w *bytes.Buffer) {
		fmt.Fprintf(w, "Created task %d, \"%s\".\n\n", created.GetId(), printable.Excerpt(created.GetTitle()))
		listTable(w, list)
	})
}

func (c *client) createCommand() *cobra.Command {
	var priority int32
	var key string
	cmd := &cobra.Command{
		Use:   "create TITLE",
		Short: "Create a task",
		Args:  oneArgument("TITLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("idempotency-key") {
				key = uuid.NewString()
			}
			if strings.ContainsFunc(key, func(r rune) bool { return r < '!' || r > '~' }) { // gRPC metadata allows no other characters
				return usageError{fmt.Errorf("--idempotency-key %q must be visible ASCII characters", key)}
			}
			c.retryHint = "with --idempotency-key " + key + " it is created once"
			ctx := metadata.AppendToOutgoingContext(cmd.Context(), "idempotency-key", key)
			return c.callForTask(ctx, cmd.OutOrStdout(), "create the task", func(ctx context.Context, tasks pb.TaskServiceClient) (hasTask, error) {
				return tasks.CreateTask(ctx, &pb.CreateTaskRequest{Title: args[0], Priority: priority})
			})
		},
	}
	cmd.Flags().Int32Var(&priority, "priority", 0, "its priority, 0 to 100")
	cmd.Flags().StringVar(&key, "idempotency-key", "", "`key` that creates the task once in 24 h, however often the command is run (random by default)")
	return cmd
}

func (c *client) listCommand() *cobra.Command {
	request := &pb.ListTasksRequest{}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the tasks",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list *pb.ListTasksResponse
			err := c.callWithTimeout(cmd.Context(), "list the tasks", func(ctx context.Context, tasks pb.TaskServiceClient) (err error) {
				list, err = tasks.ListTasks(ctx, request)
				return err
			})
			if err != nil {
				return err
			}
			return c.output.print(cmd.OutOrStdout(), viewList(list), func(w *bytes.Buffer) { listTable(w, list) })
		},
	}
	cmd.Flags().BoolVar(&request.DoneOnly, "done", false, "only completed tasks")
	cmd.Flags().Int32Var(&request.Limit, "limit", 0, "at most this many, up to 1000 (0 means 1000)")
	cmd.Flags().Int32Var(&request.Offset, "offset", 0, "skip this many, up to 100000")
	return cmd
}

func (c *client) getCommand() *cobra.Command {
	return c.taskCommand("get ID", "Show a task", "show task ", func(ctx context.Context, tasks pb.TaskServiceClient, id int64) (hasTask, error) {
		return tasks.GetTask(ctx, &pb.GetTaskRequest{Id: id})
	})
}

func (c *client) doneCommand() *cobra.Command {
	return c.taskCommand("done ID", "Complete a task", "complete task ", func(ctx context.Context, tasks pb.TaskServiceClient, id int64) (hasTask, error) {
		return tasks.CompleteTask(ctx, &pb.CompleteTaskRequest{Id: id})
	})
}

func (c *client) deleteCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "delete ID",
		Short: "Delete a task",
		Args:  oneArgument("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID(args[0])
			if err != nil {
				return err
			}
			err = c.callWithTimeout(cmd.Context(), "delete task "+args[0], func(ctx context.Context, tasks pb.TaskServiceClient) error {
				_, err := tasks.DeleteTask(ctx, &pb.DeleteTaskRequest{Id: id})
				return err
			})
			if err != nil {
				return err
			}
			return c.output.print(cmd.OutOrStdout(), map[string]int64{"deleted": id}, func(w *bytes.Buffer) {
				fmt.Fprintf(w, "Deleted task %d.\n", id)
			})
		},
	}
}

// hasTask is a response with one task.
type hasTask interface{ GetTask() *pb.Task }

// taskCommand returns a command whose argument is a task's id, and which prints the task of
// the response. action names what do does, up to the id.
func (c *client) taskCommand(use, short, action string, do func(context.Context, pb.TaskServiceClient, int64) (hasTask, error)) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Args:  oneArgument("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID(args[0])
			if err != nil {
				return err
			}
			return c.callForTask(cmd.Context(), cmd.OutOrStdout(), action+args[0], func(ctx context.Context, tasks pb.TaskServiceClient) (hasTask, error) {
				return do(ctx, tasks, id)
			})
		},
	}
}

// callForTask makes a call whose response is one task, and prints the task.
func (c *client) callForTask(ctx context.Context, out io.Writer, action string, do func(context.Context, pb.TaskServiceClient) (hasTask, error)) error {
	var t *pb.Task
	err := c.callWithTimeout(ctx, action, func(ctx context.Context, tasks pb.TaskServiceClient) error {
		response, err := do(ctx, tasks)
		t = response.GetTask()
		return err
	})
	if err != nil {
		return err
	}
	return c.output.print(out, view(t), func(w *bytes.Buffer) { taskTable(w, t) })
}

func parseID(arg string) (int64, error) {
	id, err := strconv.ParseInt(arg, 10, 64)
	if err != nil {
		return 0, usageError{fmt.Errorf("ID must be a whole number, not %q", arg)}
	}
	return id, nil
}
