package deadletter

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"example.com/todo/platform/command"
	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/headers"
	"example.com/todo/platform/kafka/reader"
	"example.com/todo/platform/printable"
)

func (c *cli) showDeadLetter(ctx context.Context, at position) error {
	var found *deadLetter
	err := c.scan(ctx, c.Topic, map[int32]int64{at.partition: at.offset}, func(record kafka.Record) error {
		if l := parseDeadLetter(record); l.position == at {
			found = &l
		}
		return reader.SkipPartition
	})
	if err != nil {
		return err
	}
	if found == nil {
		return command.UsageError(fmt.Errorf("there is no dead letter at %s: dlq list shows where they are", at))
	}
	if found.group == "" {
		fmt.Fprintf(c.errOut, "this is no dead letter: it names no consumer group\n")
	}
	return c.printDetails(*found)
}

func (c *cli) printDetails(l deadLetter) error {
	columns := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	printField := func(name, value string) { fmt.Fprintf(columns, "%s\t%s\n", name, cmp.Or(value, "-")) }
	headerText := func(header string) string { return printable.Excerpt(l.record.Header(header)) }
	printField("place", l.position.String())
	printField("written at", l.record.Time.UTC().Format(time.RFC3339))
	printField("failed at", headerText(headers.FailedAt))
	printField("group", headerText(headers.ConsumerGroup))
	printField("error", headerText(headers.Error))
	printField("attempts", headerText(headers.Attempts))
	printField("original topic", headerText(headers.OriginalTopic))
	printField("original place", printable.Excerpt(l.originalPosition))
	if l.contentless {
		printField("contents", fmt.Sprintf("not in the dead letter: %s bytes, up to offset %s", headerText(headers.OriginalSize), cmp.Or(headerText(headers.OriginalLastOffset), headerText(headers.OriginalOffset))))
	}
	printField("replays", fmt.Sprintf("%d before it failed", l.priorReplays))
	key := "null"
	if l.record.Key != nil {
		key = printable.Excerpt(string(l.record.Key))
	}
	printField("key", key)
	for _, header := range l.originalHeaders() {
		printField("header "+printable.Excerpt(header.Key), printable.Excerpt(header.Value))
	}
	if err := columns.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.out, "value (%s)\n%s\n", plural(len(l.record.Value), "byte"), formatValue(l.record.Value))
	return err
}

// formatValue formats a value for a terminal: JSON indented, other text quoted, bytes in hexadecimal.
func formatValue(value []byte) string {
	switch {
	case value == nil:
		return "null"
	case len(value) == 0:
		return "empty"
	case json.Valid(value):
		var indented bytes.Buffer
		_ = json.Indent(&indented, value, "", "  ") // it is valid
		return printable.EscapeLines(indented.String())
	case utf8.Valid(value):
		return printable.Escape(strconv.Quote(string(value)))
	default:
		return strings.TrimSuffix(hex.Dump(value), "\n")
	}
}

// plural formats a count with its noun: 1 replay, 2 replays.
func plural(count int, thing string) string {
	if count == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", count, thing)
}

func singleLine(err error) string {
	return printable.Excerpt(strings.ReplaceAll(err.Error(), "\n", "; "))
}
