package logging

import (
	"context"
	"encoding"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"unicode/utf8"

	"example.com/todo/platform/printable"
)

const (
	stackKey = "stack"
	// maxStackCharacters is higher than that of other values: a stack trace without its
	// middle is of no use, and no client writes it.
	maxStackCharacters = 16 << 10
	maxKeyCharacters   = 128
)

// outputFormat has the escaping that the handler of a format needs.
type outputFormat struct {
	message func(string) string     // escapes a message
	value   func(string) slog.Value // escapes a value
	// marshalsWell reports whether the handler itself writes v safely and briefly.
	marshalsWell func(v any) bool
	// special is a printable ASCII character that needs escaping; 0: none does.
	special byte
}

var (
	// A JSON string can have any character: escapingWriter escapes those that are not visible.
	jsonFormat = outputFormat{message: escapeInvalidUTF8, value: func(s string) slog.Value { return slog.StringValue(escapeInvalidUTF8(s)) }, marshalsWell: isShortJSON, special: 0}
	// tint does not escape the message. It quotes values with strconv.Quote, but with colours
	// it then replaces \x1b by ESC, and without colours it cuts a value at invalid UTF-8.
	textFormat = outputFormat{message: printable.Escape, value: tintValue, marshalsWell: func(any) bool { return false }, special: '\\'}
)

// sanitizingHandler truncates and escapes message, keys and values of each record, so that
// its handler writes one line of visible characters.
type sanitizingHandler struct {
	slog.Handler
	format outputFormat
}

func (h sanitizingHandler) Handle(ctx context.Context, r slog.Record) error {
	clean := h.needsNoEscape(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		clean = clean && h.needsNoEscapeAttr(a)
		return clean
	})
	// Nearly every record is clean, and then needs no allocation.
	if clean {
		return h.Handler.Handle(ctx, r)
	}
	sanitized := slog.NewRecord(r.Time, r.Level, h.format.message(printable.Truncate(r.Message, printable.MaxCharacters)), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		sanitized.AddAttrs(h.sanitizeAttr(a))
		return true
	})
	return h.Handler.Handle(ctx, sanitized)
}

func (h sanitizingHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return sanitizingHandler{h.Handler.WithAttrs(h.sanitizeAttrs(attrs)), h.format}
}

func (h sanitizingHandler) WithGroup(name string) slog.Handler {
	return sanitizingHandler{h.Handler.WithGroup(sanitizeKey(name)), h.format}
}

func (h sanitizingHandler) needsNoEscapeAttr(a slog.Attr) bool {
	switch a.Value.Kind() {
	case slog.KindString:
		return isToken(a.Key, maxKeyCharacters) && h.needsNoEscape(a.Value.String())
	case slog.KindAny, slog.KindGroup, slog.KindLogValuer:
		return false
	default:
		return isToken(a.Key, maxKeyCharacters)
	}
}

// needsNoEscape reports whether text is short and has no character to escape.
func (h sanitizingHandler) needsNoEscape(text string) bool {
	if len(text) > printable.MaxCharacters {
		return false
	}
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' || text[i] == h.format.special {
			return false
		}
	}
	return true
}

func (h sanitizingHandler) sanitizeAttrs(attrs []slog.Attr) []slog.Attr {
	sanitized := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		sanitized[i] = h.sanitizeAttr(a)
	}
	return sanitized
}

func (h sanitizingHandler) sanitizeAttr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindGroup:
		v = slog.GroupValue(h.sanitizeAttrs(v.Group())...)
	case slog.KindString:
		v = h.sanitizeText(a.Key, v.String())
	case slog.KindAny:
		if v.Any() != nil && !h.format.marshalsWell(v.Any()) {
			v = h.sanitizeText(a.Key, formatValue(v.Any()))
		}
	}
	return slog.Attr{Key: sanitizeKey(a.Key), Value: v}
}

func (h sanitizingHandler) sanitizeText(key, text string) slog.Value {
	limit := printable.MaxCharacters
	if key == stackKey {
		limit = maxStackCharacters
	}
	return h.format.value(printable.Truncate(text, limit))
}

// formatValue returns the text of a value of any type, also when its methods panic.
func formatValue(v any) string {
	switch v := v.(type) {
	case error: // its text has priority over MarshalText
	case []byte:
		return string(v)
	case encoding.TextMarshaler:
		if text, err := callRecovering(v.MarshalText); err == nil {
			return string(text)
		}
	}
	return fmt.Sprintf("%+v", v) // fmt recovers from panics
}

// isShortJSON reports whether the JSON of v is short and readable. That of an error is {},
// that of bytes is base64.
func isShortJSON(v any) bool {
	switch v.(type) {
	case error, []byte:
		return false
	}
	document, err := callRecovering(func() ([]byte, error) { return json.Marshal(v) })
	return err == nil && len(document) <= printable.MaxCharacters
}

// callRecovering calls a method of a logged value and returns a panic as an error.
func callRecovering(method func() ([]byte, error)) (text []byte, err error) {
	defer func() {
		if p := recover(); p != nil { // usually a nil pointer in an interface
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return method()
}

// escapeInvalidUTF8 escapes the bytes that are not UTF-8, and nothing else.
func escapeInvalidUTF8(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	var out strings.Builder
	for i, r := range text {
		if size := utf8.RuneLen(r); r == utf8.RuneError && text[i:i+min(size, len(text)-i)] != string(utf8.RuneError) {
			fmt.Fprintf(&out, `\x%02x`, text[i])
			continue
		}
		out.WriteRune(r)
	}
	return out.String()
}

// tintValue returns text as a value that tint writes completely and without ESC: as bytes
// when text needs escaping, because tint quotes bytes correctly with strconv.Quote.
func tintValue(text string) slog.Value {
	if printable.Escape(text) == text && !strings.ContainsAny(text, "\\\ufffd") {
		return slog.StringValue(text)
	}
	if quoted := strconv.Quote(text); printable.Escape(quoted) != quoted {
		text = printable.Escape(text) // strconv does not escape characters such as U+3164
	}
	return slog.AnyValue([]byte(text))
}

// sanitizeKey returns name, truncated, with "_" for each character that needs quoting.
func sanitizeKey(name string) string {
	if isToken(name, maxKeyCharacters) {
		return name
	}
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || r == ' ' || strings.ContainsRune("\"=\\", r) || printable.Escape(string(r)) != string(r) {
			return '_'
		}
		return r
	}, printable.Truncate(name, maxKeyCharacters))
}

// isToken reports whether text has at most maxLen characters, all of them ASCII letters,
// digits or "_.-".
func isToken(text string, maxLen int) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '.', c == '-':
		default:
			return false
		}
	}
	return len(text) <= maxLen
}

// escapingWriter escapes the invisible characters of JSON lines.
type escapingWriter struct{ w io.Writer }

func (v escapingWriter) Write(line []byte) (int, error) {
	if _, err := v.w.Write(printable.EscapeJSON(line)); err != nil {
		return 0, err
	}
	return len(line), nil
}
