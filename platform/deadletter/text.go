package deadletter

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// printable escapes what would not be seen, or would act on a terminal: keys,
// errors and headers are written by others.
func printable(text string) string {
	var out strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, `\x%02x`, text[0])
		case unicode.IsPrint(r):
			out.WriteRune(r)
		default:
			out.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
		text = text[size:]
	}
	return out.String()
}

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
		lines := strings.Split(laidOut.String(), "\n")
		for i, line := range lines {
			lines[i] = printable(line)
		}
		return strings.Join(lines, "\n")
	case utf8.Valid(value):
		return strconv.Quote(string(value))
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

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
