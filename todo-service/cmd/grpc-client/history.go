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

// pastView is an event of a task's history.
type pastView struct {
	EventID   string    `json:"event_id"`
	EventType string    `json:"event_type"`
	Timestamp time.Time `json:"timestamp"`
	UserID    *int64    `json:"user_id,omitempty"`
	Task      taskView  `json:"task"`
}

func (c *client) historyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "history ID",
		Short: "Show what happened to a task, also to one that is deleted",
		Args:  takes("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID(args[0])
			if err != nil {
				return err
			}
			var events []*pb.TaskEvent
			err = c.call(cmd.Context(), "show the history of task "+args[0], func(ctx context.Context, tasks pb.TaskServiceClient) (err error) {
				events, err = history(ctx, tasks, id)
				return err
			})
			if err != nil {
				return err
			}
			return c.output.print(cmd.OutOrStdout(), map[string][]pastView{"events": viewPast(events)}, func(w *bytes.Buffer) { pastTable(w, events) })
		},
	}
}

// history reads all pages.
func history(ctx context.Context, tasks pb.TaskServiceClient, id int64) (events []*pb.TaskEvent, err error) {
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

func viewPast(events []*pb.TaskEvent) []pastView {
	all := make([]pastView, len(events))
	for i, e := range events {
		all[i] = pastView{e.GetEventId(), e.GetEventType(), e.GetTimestamp().AsTime(), e.UserId, view(e.GetTask())}
	}
	return all
}

func pastTable(w *bytes.Buffer, events []*pb.TaskEvent) {
	fmt.Fprintln(w, "VERSION\tEVENT\tTIME\tTITLE\tPRIORITY")
	for _, e := range events {
		t := e.GetTask()
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%d\n", t.GetVersion(), printable.Excerpt(e.GetEventType()), e.GetTimestamp().AsTime().Format(time.RFC3339), printable.Excerpt(t.GetTitle()), t.GetPriority())
	}
}
