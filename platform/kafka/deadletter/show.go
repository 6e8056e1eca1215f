package deadletter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"example.com/todo/platform/command"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/reader"
	"example.com/todo/platform/printable"
)

// errFound ends a scan that has what it was for.
var errFound = errors.New("found")

// show writes all that is known of the letter at that place.
func (d *desk) show(ctx context.Context, at place) error {
	var found *letter
	err := d.scan(ctx, d.Topic, map[int32]int64{at.partition: at.offset}, func(record kafka.Record) error {
		switch l := read(record); {
		case l.at.partition != at.partition:
			return reader.SkipPartition
		case l.at == at:
			found = &l
		}
		return errFound
	})
	if err != nil && !errors.Is(err, errFound) {
		return err
	}
	if found == nil {
		return command.UsageError(fmt.Errorf("there is no dead letter at %s: dlq list shows where they are", at))
	}
	if found.group == "" {
		fmt.Fprintf(d.notes, "this is no dead letter: it does not say which group it is of\n")
	}
	return d.describe(*found)
}

func (d *desk) describe(l letter) error {
	columns := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	say := func(what, value string) { fmt.Fprintf(columns, "%s\t%s\n", what, cmp.Or(value, "-")) }
	said := func(header string) string { return printable.Excerpt(l.record.Header(header)) }
	say("place", l.at.String())
	say("written at", l.record.Time.UTC().Format(time.RFC3339))
	say("failed at", said(headerFailedAt))
	say("group", said(headerGroup))
	say("error", said(headerError))
	say("attempts", said(headerAttempts))
	say("original topic", said(headerTopic))
	say("original place", printable.Excerpt(l.original))
	if l.bare {
		say("contents", fmt.Sprintf("not in the letter: %s bytes, up to offset %s", said(headerSize), cmp.Or(said(headerLast), said(headerOffset))))
	}
	say("replays", fmt.Sprintf("%d before it failed", l.replays))
	key := "null"
	if l.record.Key != nil {
		key = printable.Excerpt(string(l.record.Key))
	}
	say("key", key)
	for _, header := range l.headers() {
		say("header "+printable.Excerpt(header.Key), printable.Excerpt(header.Value))
	}
	if err := columns.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(d.out, "value (%s)\n%s\n", several(len(l.record.Value), "byte"), contents(l.record.Value))
	return err
}
