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

// row is a letter as dlq list shows it.
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

func (d *desk) row(l letter, copies int) row {
	r := row{
		Place: l.at.String(), FailedAt: printable.Excerpt(l.record.Header(headerFailedAt)),
		Group: printable.Excerpt(l.group), Type: printable.Excerpt(l.record.Header(d.TypeHeader)),
		Attempts: printable.Excerpt(l.record.Header(headerAttempts)), Topic: printable.Excerpt(l.topic), Original: printable.Excerpt(l.original),
		Error: printable.Excerpt(l.record.Header(headerError)), Replays: l.replays, Replayed: copies,
	}
	if l.record.Key != nil {
		key := printable.Excerpt(string(l.record.Key))
		r.Key = &key
	}
	return r
}

// list writes a line for each letter that is meant.
func (d *desk) list(ctx context.Context, f filter, output format) error {
	s, err := d.survey(ctx, f)
	if err != nil {
		return err
	}
	for topic, since := range s.topics() {
		var missing *kafka.TopicError // then nothing was replayed to it
		if err := d.countCopies(ctx, s, topic, since); err != nil && !errors.As(err, &missing) {
			return err
		}
	}
	lines := newTable(d.out)
	if output == asJSON {
		lines = newLines(d.out)
	}
	replayed := 0
	err = d.scan(ctx, d.Topic, nil, func(record kafka.Record) error {
		l := read(record)
		id := l.identity()
		if s.meant[l.at] != id {
			return nil
		}
		if s.copies[id] > 0 {
			replayed++
		}
		return lines.add(d.row(l, s.copies[id]))
	})
	if err := errors.Join(err, lines.flush()); err != nil {
		return err
	}
	if len(s.meant) == 0 {
		fmt.Fprintf(d.notes, "%s\n", s.none())
		return nil
	}
	fmt.Fprintf(d.notes, "%s of group %s, %d already replayed\n", several(len(s.meant), "dead letter"), printable.Excerpt(f.group), replayed)
	return nil
}

// none says that no letter is meant, and what there is instead.
func (s *survey) none() string {
	if all := s.groups[s.filter.group]; all > 0 {
		return fmt.Sprintf("none of the %s of group %s match", several(all, "dead letter"), printable.Excerpt(s.filter.group))
	}
	others := 0
	for group, count := range s.groups {
		if group != "" {
			others += count
		}
	}
	return fmt.Sprintf("no dead letters of group %s (%d of others)", printable.Excerpt(s.filter.group), others)
}

// lines takes rows one by one.
type lines struct {
	add   func(row) error
	flush func() error
}

func newLines(w io.Writer) lines {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return lines{add: func(r row) error { return encoder.Encode(r) }, flush: func() error { return nil }}
}

func newTable(w io.Writer) lines {
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	begun := false
	return lines{flush: columns.Flush, add: func(r row) error {
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
