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
	"example.com/todo/platform/printable"
)

// newRow is a letter as dlq list shows it.
type row struct {
	Place    string  `json:"place"`
	FailedAt string  `json:"failed_at"`
	Group    string  `json:"group"`
	Type     string  `json:"type"`
	Key      *string `json:"key"` // null when the record has none
	Attempts string  `json:"attempts"`
	Topic    string  `json:"original_topic"`
	Original string  `json:"original_place"`
	Error    string  `json:"error"`
	Replays  int     `json:"replays"`  // how often it had been replayed when it failed
	Replayed int     `json:"replayed"` // how often it was replayed since
}

func (d *cli) newRow(l deadLetter, replays int) row {
	r := row{
		Place: l.position.String(), FailedAt: printable.Excerpt(l.record.Header(headerFailedAt)),
		Group: printable.Excerpt(l.group), Type: printable.Excerpt(l.record.Header(d.TypeHeader)),
		Attempts: printable.Excerpt(l.record.Header(headerAttempts)), Topic: printable.Excerpt(l.topic), Original: printable.Excerpt(l.originalPosition),
		Error: printable.Excerpt(l.record.Header(headerError)), Replays: l.priorReplays, Replayed: replays,
	}
	if l.record.Key != nil {
		key := printable.Excerpt(string(l.record.Key))
		r.Key = &key
	}
	return r
}

// listDeadLetters writes a line for each letter that is meant.
func (d *cli) listDeadLetters(ctx context.Context, f filter, output outputFormat) error {
	s, err := d.buildIndex(ctx, f)
	if err != nil {
		return err
	}
	for topic, since := range s.originalTopics() {
		var missing *kafka.TopicError // then nothing was replayed to it
		if err := d.countReplays(ctx, s, topic, since); err != nil && !errors.As(err, &missing) {
			return err
		}
	}
	rows := newTableWriter(d.out)
	if output == formatJSON {
		rows = newJSONWriter(d.out)
	}
	replayed := 0
	err = d.scan(ctx, d.Topic, nil, func(record kafka.Record) error {
		l := parseDeadLetter(record)
		id := l.identity()
		if s.selected[l.position] != id {
			return nil
		}
		if s.replays[id] > 0 {
			replayed++
		}
		return rows.write(d.newRow(l, s.replays[id]))
	})
	if err := errors.Join(err, rows.flush()); err != nil {
		return err
	}
	if len(s.selected) == 0 {
		fmt.Fprintf(d.errOut, "%s\n", s.explainEmpty())
		return nil
	}
	fmt.Fprintf(d.errOut, "%s of group %s, %d already replayed\n", plural(len(s.selected), "dead letter"), printable.Excerpt(f.group), replayed)
	return nil
}

// explainEmpty says that no letter is meant, and what there is instead.
func (s *index) explainEmpty() string {
	if all := s.groups[s.filter.group]; all > 0 {
		return fmt.Sprintf("none of the %s of group %s match", plural(all, "dead letter"), printable.Excerpt(s.filter.group))
	}
	others := 0
	for group, count := range s.groups {
		if group != "" {
			others += count
		}
	}
	return fmt.Sprintf("no dead letters of group %s (%d of others)", printable.Excerpt(s.filter.group), others)
}

// rowWriter takes rows one by one.
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
	begun := false
	return rowWriter{flush: columns.Flush, write: func(r row) error {
		if !begun {
			begun = true
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
