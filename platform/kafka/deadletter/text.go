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

// contents shows a value: JSON laid out, other text quoted, and bytes in hexadecimal.
func contents(value []byte) string {
	switch {
	case value == nil:
		return "null"
	case len(value) == 0:
		return "empty"
	case json.Valid(value):
		var laidOut bytes.Buffer
		_ = json.Indent(&laidOut, value, "", "  ") // it is valid
		return printable.EscapeLines(laidOut.String())
	case utf8.Valid(value):
		return printable.Escape(strconv.Quote(string(value)))
	default:
		return strings.TrimSuffix(hex.Dump(value), "\n")
	}
}

// several counts things: 1 replay, 2 replays.
func several(count int, thing string) string {
	if count == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", count, thing)
}

func oneLine(err error) string { return printable.Excerpt(strings.ReplaceAll(err.Error(), "\n", "; ")) }
