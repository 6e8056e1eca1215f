package deadletter

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"example.com/todo/platform/kafka/headers"
	"example.com/todo/platform/printable"
)

// row is a dead letter in the output of dlq list.
type row struct {
	Place    string  `json:"place"`
	FailedAt string  `json:"failed_at"`
	Group    string  `json:"group"`
	Type     string  `json:"type"`
	Key      *string `json:"key"` // null if the record has none
	Attempts string  `json:"attempts"`
	Topic    string  `json:"original_topic"`
	Original string  `json:"original_place"`
	Error    string  `json:"error"`
	Replays  int     `json:"replays"`  // how often the record had been replayed before it failed
	Replayed int     `json:"replayed"` // how often it was replayed since
}

func (c *cli) newRow(l deadLetter, replays int) row {
	r := row{
		Place: l.position.String(), FailedAt: printable.Excerpt(l.record.Header(headers.FailedAt)),
		Group: printable.Excerpt(l.group), Type: printable.Excerpt(l.record.Header(c.TypeHeader)),
		Attempts: printable.Excerpt(l.record.Header(headers.Attempts)), Topic: printable.Excerpt(l.topic), Original: printable.Excerpt(l.originalPosition),
		Error: printable.Excerpt(l.record.Header(headers.Error)), Replays: l.priorReplays, Replayed: replays,
	}
	if l.record.Key != nil {
		key := printable.Excerpt(string(l.record.Key))
		r.Key = &key
	}
	return r
}

// listDeadLetters writes a row for each dead letter that f selects, and a summary to errOut.
func (c *cli) listDeadLetters(ctx context.Context, f filter, output string) error {
	x, err := c.buildIndex(ctx, f)
	if err != nil {
		return err
	}
	if x.selected == 0 {
		fmt.Fprintf(c.errOut, "%s\n", x.explainEmpty())
		return nil
	}
	write, flush := newRowWriter(c.out, output)
	replayed := 0
	err = c.scanSelected(ctx, x, func(l deadLetter, failed *failure) error {
		if failed.replays > 0 {
			replayed++
		}
		return write(c.newRow(l, failed.replays))
	})
	if err := errors.Join(err, flush()); err != nil {
		return err
	}
	fmt.Fprintf(c.errOut, "%s of group %s, %d already replayed\n", plural(x.selected, "dead letter"), printable.Excerpt(f.group), replayed)
	return nil
}

func (x *index) explainEmpty() string {
	if all := x.groups[x.filter.group]; all > 0 {
		return fmt.Sprintf("none of the %s of group %s match", plural(all, "dead letter"), printable.Excerpt(x.filter.group))
	}
	others := 0
	for group, count := range x.groups {
		if group != "" {
			others += count
		}
	}
	return fmt.Sprintf("no dead letters of group %s (%d of others)", printable.Excerpt(x.filter.group), others)
}

// The formats of dlq list.
const (
	formatTable = "table"
	formatJSON  = "json"
)

// newRowWriter returns functions that write a row, and the rows that are buffered.
func newRowWriter(w io.Writer, format string) (write func(row) error, flush func() error) {
	if format == formatJSON {
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		return func(r row) error { return encoder.Encode(r) }, func() error { return nil }
	}
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(columns, "PLACE\tFAILED AT\tGROUP\tTYPE\tKEY\tATTEMPTS\tREPLAYS\tREPLAYED\tORIGINAL\tERROR\n")
	return func(r row) error {
		key := "-"
		if r.Key != nil {
			key = *r.Key
		}
		_, err := fmt.Fprintf(columns, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s %s\t%s\n",
			r.Place, cmp.Or(r.FailedAt, "-"), r.Group, cmp.Or(r.Type, "-"), key, cmp.Or(r.Attempts, "-"),
			r.Replays, r.Replayed, r.Topic, r.Original, cmp.Or(r.Error, "-"))
		return err
	}, columns.Flush
}
