package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"google.golang.org/grpc/metadata"

	pb "example.com/todo/contracts/gen/task"
)

const defaultTitle = "Learn gRPC"

// createAndList runs without a command: it creates a task and lists all tasks.
func (c *cli) createAndList(cmd *cobra.Command, _ []string) error {
	return c.call(cmd, "create a task and list the tasks", func(ctx context.Context, tasks pb.TaskServiceClient) (response, error) {
		created, err := tasks.CreateTask(ctx, &pb.CreateTaskRequest{Title: defaultTitle})
		if err != nil {
			return response{}, err
		}
		list, err := tasks.ListTasks(ctx, &pb.ListTasksRequest{})
		return listResponse(created.GetTask(), list), err
	})
}

func (c *cli) createCommand() *cobra.Command {
	request := &pb.CreateTaskRequest{}
	var key string
	cmd := &cobra.Command{
		Use:   "create TITLE",
		Short: "Create a task",
		Args:  exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("idempotency-key") {
				key = uuid.NewString()
			}
			if strings.ContainsFunc(key, func(r rune) bool { return r < '!' || r > '~' }) { // gRPC metadata allows no other characters
				return usageError{fmt.Errorf("--idempotency-key %q must be visible ASCII characters", key)}
			}
			c.retryHint = "with --idempotency-key " + key + " it is created once"
			request.Title = args[0]
			return c.call(cmd, "create the task", func(ctx context.Context, tasks pb.TaskServiceClient) (response, error) {
				created, err := tasks.CreateTask(metadata.AppendToOutgoingContext(ctx, "idempotency-key", key), request)
				return taskResponse(created.GetTask()), err
			})
		},
	}
	cmd.Flags().Int32Var(&request.Priority, "priority", 0, "its priority, 0 to 100")
	cmd.Flags().StringVar(&key, "idempotency-key", "", "`key` that creates the task once in 24 h, however often the command is run (random by default)")
	return cmd
}

func (c *cli) listCommand() *cobra.Command {
	request := &pb.ListTasksRequest{}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the tasks",
		Args:  exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.call(cmd, "list the tasks", func(ctx context.Context, tasks pb.TaskServiceClient) (response, error) {
				list, err := tasks.ListTasks(ctx, request)
				return listResponse(nil, list), err
			})
		},
	}
	cmd.Flags().BoolVar(&request.DoneOnly, "done", false, "only completed tasks")
	cmd.Flags().Int32Var(&request.Limit, "limit", 0, "at most this many, up to 1000 (0 means 1000)")
	cmd.Flags().Int32Var(&request.Offset, "offset", 0, "skip this many, up to 100000")
	cmd.Flags().StringVar(&request.Sort, "sort", "id", "`order`: id, -id, priority or -priority; a minus reverses it")
	return cmd
}

// idCommands returns the commands whose one argument is the id of a task.
func (c *cli) idCommands() []*cobra.Command {
	return []*cobra.Command{
		c.idCommand("get ID", "Show a task", "show task ", getTask),
		c.idCommand("done ID", "Complete a task", "complete task ", completeTask),
		c.idCommand("delete ID", "Delete a task", "delete task ", deleteTask),
		c.idCommand("history ID", "Show the events of a task, also of a deleted one", "show the history of task ", readHistory),
	}
}

// idCommand returns a command that prints the response of do. action names what do does,
// up to the id.
func (c *cli) idCommand(use, short, action string, do func(context.Context, pb.TaskServiceClient, int64) (response, error)) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Args:  exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil {
				return usageError{fmt.Errorf("ID must be a whole number, not %q", args[0])}
			}
			return c.call(cmd, action+args[0], func(ctx context.Context, tasks pb.TaskServiceClient) (response, error) {
				return do(ctx, tasks, id)
			})
		},
	}
}

func getTask(ctx context.Context, tasks pb.TaskServiceClient, id int64) (response, error) {
	found, err := tasks.GetTask(ctx, &pb.GetTaskRequest{Id: id})
	return taskResponse(found.GetTask()), err
}

func completeTask(ctx context.Context, tasks pb.TaskServiceClient, id int64) (response, error) {
	completed, err := tasks.CompleteTask(ctx, &pb.CompleteTaskRequest{Id: id})
	return taskResponse(completed.GetTask()), err
}

func deleteTask(ctx context.Context, tasks pb.TaskServiceClient, id int64) (response, error) {
	_, err := tasks.DeleteTask(ctx, &pb.DeleteTaskRequest{Id: id})
	return response{map[string]int64{"deleted": id}, fmt.Sprintf("Deleted task %d.\n", id)}, err
}

// readHistory reads the events of all pages.
func readHistory(ctx context.Context, tasks pb.TaskServiceClient, id int64) (response, error) {
	var events []*pb.TaskEvent
	for after, more := int64(0), true; more; more = after != 0 {
		page, err := tasks.ListTaskEvents(ctx, &pb.ListTaskEventsRequest{Id: id, After: after})
		if err != nil {
			return response{}, err
		}
		events = append(events, page.GetEvents()...)
		after = page.GetNextAfter()
	}
	return historyResponse(events), nil
}
