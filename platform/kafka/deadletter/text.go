package deadletter

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"example.com/todo/platform/printable"
)

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
		return printable.Lines(indented.String())
	case utf8.Valid(value):
		return printable.Text(strconv.Quote(string(value)))
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
