package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	pb "example.com/todo/contracts/gen/task"
	"example.com/todo/platform/printable"
)

// format is the output format, a pflag.Value. Its zero value is the table.
type format struct{ json bool }

// String, Set and Type implement pflag.Value.
func (f *format) String() string {
	if f.json {
		return "json"
	}
	return "table"
}

func (f *format) Set(name string) error {
	if name != "table" && name != "json" {
		return errors.New("it is table or json")
	}
	f.json = name == "json"
	return nil
}

func (f *format) Type() string { return "format" }

// print writes a result with one call of w.Write: value as one line of printable JSON, or
// the output of table with aligned columns. table itself makes its cells printable.
func (f *format) print(w io.Writer, value any, table func(*bytes.Buffer)) error {
	var text bytes.Buffer
	var printed []byte
	if f.json {
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(value); err != nil {
			return err
		}
		printed = printable.EscapeJSON(text.Bytes())
	} else {
		var cells bytes.Buffer
		table(&cells)
		columns := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
		if _, err := columns.Write(cells.Bytes()); err != nil {
			return err
		}
		if err := columns.Flush(); err != nil {
			return err
		}
		printed = text.Bytes()
	}
	_, err := w.Write(printed)
	return err
}

// taskView is the JSON form of a task, as in the HTTP API.
type taskView struct {
	ID          int64      `json:"id"`
	Title       string     `json:"title"`
	Priority    int32      `json:"priority"`
	Done        bool       `json:"done"`
	CreatedAt   time.Time  `json:"created_at"`
	CompletedAt *time.Time `json:"completed_at,omitempty"`
	Version     int64      `json:"version"`
}

type listView struct {
	Tasks []taskView `json:"tasks"`
	Total int32      `json:"total"`
}

func view(t *pb.Task) taskView {
	v := taskView{
		ID:        t.GetId(),
		Title:     t.GetTitle(),
		Priority:  t.GetPriority(),
		Done:      t.GetDone(),
		CreatedAt: t.GetCreatedAt().AsTime(),
		Version:   t.GetVersion(),
	}
	if t.GetCompletedAt() != nil {
		completed := t.GetCompletedAt().AsTime()
		v.CompletedAt = &completed
	}
	return v
}

func viewList(list *pb.ListTasksResponse) listView {
	v := listView{Tasks: make([]taskView, len(list.GetTasks())), Total: list.GetTotal()}
	for i, t := range list.GetTasks() {
		v.Tasks[i] = view(t)
	}
	return v
}

func taskTable(w *bytes.Buffer, tasks ...*pb.Task) {
	fmt.Fprintln(w, "ID\tTITLE\tPRIORITY\tDONE\tCREATED\tVERSION")
	for _, t := range tasks {
		done := "no"
		if t.GetDone() {
			done = "yes"
		}
		created := t.GetCreatedAt().AsTime().Format(time.RFC3339)
		fmt.Fprintf(w, "%d\t%s\t%d\t%s\t%s\t%d\n", t.GetId(), printable.Excerpt(t.GetTitle()), t.GetPriority(), done, created, t.GetVersion())
	}
}

func listTable(w *bytes.Buffer, list *pb.ListTasksResponse) {
	taskTable(w, list.GetTasks()...)
	fmt.Fprintf(w, "\n%d of %d tasks\n", len(list.GetTasks()), list.GetTotal())
}
