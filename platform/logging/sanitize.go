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
	// maxStackCharacters bounds a stack trace, which is of the process's own making and
	// of no use when its middle is missing.
	maxStackCharacters = 16 << 10
	maxKeyCharacters   = 128
)

// outputFormat is how a handler writes a string that needs care.
type outputFormat struct {
	message func(string) string
	value   func(string) slog.Value
	// marshalsWell says whether the handler writes v, which is neither an error nor bytes, well
	// and briefly by itself.
	marshalsWell func(v any) bool
	// special is the ASCII character that makes a string need care.
	special byte
}

var (
	// A JSON string can hold any character: escapingWriter escapes what is not visible.
	jsonFormat = outputFormat{message: escapeInvalidUTF8, value: func(s string) slog.Value { return slog.StringValue(escapeInvalidUTF8(s)) }, marshalsWell: isShortJSON, special: 0}
	// tint writes the message as it is, and quotes values by strconv.Quote. But with
	// colours on it then puts ESC in place of each \x1b, and with colours off it cuts a
	// value at the first byte that is no UTF-8.
	textFormat = outputFormat{message: printable.Escape, value: tintValue, marshalsWell: func(any) bool { return false }, special: '\\'}
)

// sanitizingHandler makes of each record one whose message, keys and values are bounded, and
// of which its handler writes visible characters alone.
type sanitizingHandler struct {
	slog.Handler
	form outputFormat
}

func (h sanitizingHandler) Handle(ctx context.Context, r slog.Record) error {
	clean := h.needsNoEscape(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		clean = clean && h.needsNoEscapeAttr(a)
		return clean
	})
	if clean { // nearly every line is, and costs no allocation here
		return h.Handler.Handle(ctx, r)
	}
	shown := slog.NewRecord(r.Time, r.Level, h.form.message(printable.Truncate(r.Message, printable.MaxCharacters)), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		shown.AddAttrs(h.sanitizeAttr(a))
		return true
	})
	return h.Handler.Handle(ctx, shown)
}

func (h sanitizingHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return sanitizingHandler{h.Handler.WithAttrs(h.sanitizeAttrs(attrs)), h.form}
}

func (h sanitizingHandler) WithGroup(name string) slog.Handler {
	return sanitizingHandler{h.Handler.WithGroup(sanitizeKey(name)), h.form}
}

func (h sanitizingHandler) needsNoEscapeAttr(a slog.Attr) bool {
	switch a.Value.Kind() {
	case slog.KindString:
		return isPlainKey(a.Key) && h.needsNoEscape(a.Value.String())
	case slog.KindAny, slog.KindGroup, slog.KindLogValuer:
		return false
	default:
		return isPlainKey(a.Key)
	}
}

// needsNoEscape says whether text is short and can be handed on as it is.
func (h sanitizingHandler) needsNoEscape(text string) bool {
	if len(text) > printable.MaxCharacters {
		return false
	}
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' || text[i] == h.form.special {
			return false
		}
	}
	return true
}

func (h sanitizingHandler) sanitizeAttrs(attrs []slog.Attr) []slog.Attr {
	shown := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		shown[i] = h.sanitizeAttr(a)
	}
	return shown
}

func (h sanitizingHandler) sanitizeAttr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindGroup:
		v = slog.GroupValue(h.sanitizeAttrs(v.Group())...)
	case slog.KindString:
		v = h.sanitizeText(a.Key, v.String())
	case slog.KindAny:
		if v.Any() != nil && !h.form.marshalsWell(v.Any()) {
			v = h.sanitizeText(a.Key, formatValue(v.Any()))
		}
	}
	return slog.Attr{Key: sanitizeKey(a.Key), Value: v}
}

func (h sanitizingHandler) sanitizeText(key, text string) slog.Value {
	most := printable.MaxCharacters
	if key == stackKey {
		most = maxStackCharacters
	}
	return h.form.value(printable.Truncate(text, most))
}

// formatValue is the text of a value of any type, also of one whose methods panic.
func formatValue(v any) string {
	switch v := v.(type) {
	case error: // before an error that marshals
	case []byte:
		return string(v)
	case encoding.TextMarshaler:
		if text, err := callRecovering(v.MarshalText); err == nil {
			return string(text)
		}
	}
	return fmt.Sprintf("%+v", v) // which survives a panic
}

// isShortJSON says whether v makes a short piece of JSON. An error does not, nor
// does a value of which JSON would show bytes in base64.
func isShortJSON(v any) bool {
	switch v.(type) {
	case error, []byte:
		return false
	}
	document, err := callRecovering(func() ([]byte, error) { return json.Marshal(v) })
	return err == nil && len(document) <= printable.MaxCharacters
}

// callRecovering calls a method of a logged value. A nil pointer in an interface is the
// usual cause of a panic there.
func callRecovering(method func() ([]byte, error)) (text []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return method()
}

// escapeInvalidUTF8 escapes the bytes that are no UTF-8, and nothing else.
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

// tintValue returns text as a value that tint writes whole and without an ESC: as
// text where tint cannot go wrong, and otherwise as bytes, which it hands to
// strconv.Quote.
func tintValue(text string) slog.Value {
	if printable.Escape(text) == text && !strings.ContainsAny(text, "\\\ufffd") {
		return slog.StringValue(text)
	}
	if quoted := strconv.Quote(text); printable.Escape(quoted) != quoted {
		text = printable.Escape(text) // strconv takes characters such as U+3164 for visible ones
	}
	return slog.AnyValue([]byte(text))
}

// sanitizeKey returns name, or something like it that is short and needs no quoting.
func sanitizeKey(name string) string {
	if isPlainKey(name) {
		return name
	}
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || r == ' ' || strings.ContainsRune("\"=\\", r) || printable.Escape(string(r)) != string(r) {
			return '_'
		}
		return r
	}, printable.Truncate(name, maxKeyCharacters))
}

// isPlainKey says whether key is made of the characters that our keys are made of.
func isPlainKey(key string) bool {
	for i := range len(key) {
		switch c := key[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '.', c == '-':
		default:
			return false
		}
	}
	return len(key) <= maxKeyCharacters
}

// escapingWriter escapes in JSON what is not visible.
type escapingWriter struct{ w io.Writer }

func (v escapingWriter) Write(line []byte) (int, error) {
	if _, err := v.w.Write(printable.EscapeJSON(line)); err != nil {
		return 0, err
	}
	return len(line), nil
}
