package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/printable"
)

// historyView is the JSON form of an event in a task's history.
type historyView struct {
	EventID   string    `json:"event_id"`
	EventType string    `json:"event_type"`
	Timestamp time.Time `json:"timestamp"`
	UserID    *int64    `json:"user_id,omitempty"`
	Task      taskView  `json:"task"`
}

func (c *client) historyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "history ID",
		Short: "Show the events of a task, also of a deleted one",
		Args:  oneArgument("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID(args[0])
			if err != nil {
				return err
			}
			var events []*pb.TaskEvent
			err = c.callWithTimeout(cmd.Context(), "show the history of task "+args[0], func(ctx context.Context, tasks pb.TaskServiceClient) (err error) {
				events, err = readHistory(ctx, tasks, id)
				return err
			})
			if err != nil {
				return err
			}
			return c.output.print(cmd.OutOrStdout(), map[string][]historyView{"events": viewHistory(events)}, func(w *bytes.Buffer) { historyTable(w, events) })
		},
	}
}

// readHistory returns the events of all pages.
func readHistory(ctx context.Context, tasks pb.TaskServiceClient, id int64) (events []*pb.TaskEvent, err error) {
	for after, more := int64(0), true; more; more = after != 0 {
		page, err := tasks.ListTaskEvents(ctx, &pb.ListTaskEventsRequest{Id: id, After: after})
		if err != nil {
			return nil, err
		}
		events = append(events, page.GetEvents()...)
		after = page.GetNextAfter()
	}
	return events, nil
}

func viewHistory(events []*pb.TaskEvent) []historyView {
	all := make([]historyView, len(events))
	for i, e := range events {
		all[i] = historyView{e.GetEventId(), e.GetEventType(), e.GetTimestamp().AsTime(), e.UserId, view(e.GetTask())}
	}
	return all
}

func historyTable(w *bytes.Buffer, events []*pb.TaskEvent) {
	fmt.Fprintln(w, "VERSION\tEVENT\tTIME\tTITLE\tPRIORITY")
	for _, e := range events {
		t := e.GetTask()
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%d\n", t.GetVersion(), printable.Excerpt(e.GetEventType()), e.GetTimestamp().AsTime().Format(time.RFC3339), printable.Excerpt(t.GetTitle()), t.GetPriority())
	}
}
