package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"example.com/todo/contracts/event"
	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/printable"
)

// response is what a command prints, in both output formats.
type response struct {
	value any    // for JSON
	table string // printable text; a tab ends a cell
}

// print writes a response with one call of w.Write: as one line of printable JSON, or as
// a table with aligned columns.
func (c *cli) print(w io.Writer, r response) error {
	var text bytes.Buffer
	if c.output == "json" {
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(r.value); err != nil {
			return err
		}
		_, err := w.Write(printable.EscapeJSON(text.Bytes()))
		return err
	}
	columns := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	_, _ = io.WriteString(columns, r.table)
	_ = columns.Flush() // neither fails: a buffer takes every text
	_, err := w.Write(text.Bytes())
	return err
}

// taskJSON returns the JSON form of a task, which is that of the HTTP API.
func taskJSON(t *pb.Task) event.Task {
	v := event.Task{
		ID:        t.GetId(),
		Title:     t.GetTitle(),
		Priority:  int(t.GetPriority()),
		Done:      t.GetDone(),
		CreatedAt: t.GetCreatedAt().AsTime(),
		Version:   t.GetVersion(),
	}
	if t.GetCompletedAt() != nil {
		v.CompletedAt = new(t.GetCompletedAt().AsTime())
	}
	return v
}

func taskResponse(t *pb.Task) response {
	return response{taskJSON(t), taskTable(t)}
}

func taskTable(tasks ...*pb.Task) string {
	var table strings.Builder
	table.WriteString("ID\tTITLE\tPRIORITY\tDONE\tCREATED\tVERSION\n")
	for _, t := range tasks {
		done := "no"
		if t.GetDone() {
			done = "yes"
		}
		created := t.GetCreatedAt().AsTime().Format(time.RFC3339)
		fmt.Fprintf(&table, "%d\t%s\t%d\t%s\t%s\t%d\n",
			t.GetId(), printable.Excerpt(t.GetTitle()), t.GetPriority(), done, created, t.GetVersion())
	}
	return table.String()
}

// listResponse is about a list of tasks, and about the one that was created before; nil for none.
func listResponse(created *pb.Task, list *pb.ListTasksResponse) response {
	value := struct {
		Created *event.Task  `json:"created,omitempty"`
		Tasks   []event.Task `json:"tasks"`
		Total   int32        `json:"total"`
	}{Tasks: []event.Task{}, Total: list.GetTotal()}
	for _, t := range list.GetTasks() {
		value.Tasks = append(value.Tasks, taskJSON(t))
	}
	table := fmt.Sprintf("%s\n%d of %d tasks\n", taskTable(list.GetTasks()...), len(list.GetTasks()), list.GetTotal())
	if created != nil {
		value.Created = new(taskJSON(created))
		table = fmt.Sprintf("Created task %d, \"%s\".\n\n%s", created.GetId(), printable.Excerpt(created.GetTitle()), table)
	}
	return response{value, table}
}

// eventView is the JSON form of an event.
type eventView struct {
	EventID     string     `json:"event_id"`
	EventType   string     `json:"event_type"`
	Timestamp   time.Time  `json:"timestamp"`
	UserID      *int64     `json:"user_id,omitempty"`
	Task        event.Task `json:"task"`
	ResumeToken string     `json:"resume_token,omitempty"` // of a watched event
}

func eventJSON(e *pb.TaskEvent) eventView {
	return eventView{
		EventID:     e.GetEventId(),
		EventType:   e.GetEventType(),
		Timestamp:   e.GetTimestamp().AsTime(),
		UserID:      e.UserId,
		Task:        taskJSON(e.GetTask()),
		ResumeToken: e.GetResumeToken(),
	}
}

func watchResponse(e *pb.TaskEvent) response {
	return response{eventJSON(e), fmt.Sprintf("%-8s  %-14s  task %-6d  %s\n",
		printable.Excerpt(e.GetResumeToken()), printable.Excerpt(e.GetEventType()), e.GetTask().GetId(), printable.Excerpt(e.GetTask().GetTitle()))}
}

func historyResponse(events []*pb.TaskEvent) response {
	views := []eventView{}
	var table strings.Builder
	table.WriteString("VERSION\tEVENT\tTIME\tTITLE\tPRIORITY\n")
	for _, e := range events {
		v := eventJSON(e)
		views = append(views, v)
		fmt.Fprintf(&table, "%d\t%s\t%s\t%s\t%d\n",
			v.Task.Version, printable.Excerpt(v.EventType), v.Timestamp.Format(time.RFC3339), printable.Excerpt(v.Task.Title), v.Task.Priority)
	}
	return response{map[string][]eventView{"events": views}, table.String()}
}
