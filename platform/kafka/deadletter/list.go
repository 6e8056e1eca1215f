package deadletter

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"example.com/todo/platform/kafka"
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
func (c *cli) listDeadLetters(ctx context.Context, f filter, output outputFormat) error {
	x, err := c.buildIndex(ctx, f)
	if err != nil {
		return err
	}
	for topic, since := range x.originalTopics() {
		var missing *kafka.TopicError // no replay can be in a missing topic
		if err := c.countReplays(ctx, x, topic, since); err != nil && !errors.As(err, &missing) {
			return err
		}
	}
	rows := newTableWriter(c.out)
	if output == formatJSON {
		rows = newJSONWriter(c.out)
	}
	replayed := 0
	err = c.scan(ctx, c.Topic, nil, func(record kafka.Record) error {
		l := parseDeadLetter(record)
		id := l.identity()
		if x.selected[l.position] != id {
			return nil
		}
		if x.replays[id] > 0 {
			replayed++
		}
		return rows.write(c.newRow(l, x.replays[id]))
	})
	if err := errors.Join(err, rows.flush()); err != nil {
		return err
	}
	if len(x.selected) == 0 {
		fmt.Fprintf(c.errOut, "%s\n", x.explainEmpty())
		return nil
	}
	fmt.Fprintf(c.errOut, "%s of group %s, %d already replayed\n", plural(len(x.selected), "dead letter"), printable.Excerpt(f.group), replayed)
	return nil
}

// explainEmpty says that no dead letter is selected, and which exist.
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

// rowWriter writes the output of dlq list.
type rowWriter struct {
	write func(row) error
	flush func() error
}

func newJSONWriter(w io.Writer) rowWriter {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return rowWriter{write: func(r row) error { return encoder.Encode(r) }, flush: func() error { return nil }}
}

func newTableWriter(w io.Writer) rowWriter {
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	hasHeader := false
	return rowWriter{flush: columns.Flush, write: func(r row) error {
		if !hasHeader {
			hasHeader = true
			fmt.Fprintf(columns, "PLACE\tFAILED AT\tGROUP\tTYPE\tKEY\tATTEMPTS\tREPLAYS\tREPLAYED\tORIGINAL\tERROR\n")
		}
		key := "-"
		if r.Key != nil {
			key = *r.Key
		}
		_, err := fmt.Fprintf(columns, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s %s\t%s\n",
			r.Place, cmp.Or(r.FailedAt, "-"), r.Group, cmp.Or(r.Type, "-"), key, cmp.Or(r.Attempts, "-"),
			r.Replays, r.Replayed, r.Topic, r.Original, cmp.Or(r.Error, "-"))
		return err
	}}
}
