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
	// stackCharacters bounds a stack trace, which is of the process's own making and
	// of no use when its middle is missing.
	stackCharacters = 16 << 10
	keyCharacters   = 128
)

// form is how a handler writes a string that needs care.
type form struct {
	message func(string) string
	value   func(string) slog.Value
	// any says whether the handler writes v, which is neither an error nor bytes, well
	// and briefly by itself.
	any func(v any) bool
	// special is the ASCII character that makes a string need care.
	special byte
}

var (
	// A JSON string can hold any character: visibleJSON escapes what is not visible.
	jsonForm = form{message: validUTF8, value: func(s string) slog.Value { return slog.StringValue(validUTF8(s)) }, any: isShortJSON, special: 0}
	// tint writes the message as it is, and quotes values by strconv.Quote. But with
	// colours on it then puts ESC in place of each \x1b, and with colours off it cuts a
	// value at the first byte that is no UTF-8.
	textForm = form{message: printable.Text, value: quotable, any: func(any) bool { return false }, special: '\\'}
)

// visible makes of each record one whose message, keys and values are bounded, and
// of which its handler writes visible characters alone.
type visible struct {
	slog.Handler
	form form
}

func (h visible) Handle(ctx context.Context, r slog.Record) error {
	clean := h.isClean(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		clean = clean && h.isCleanAttr(a)
		return clean
	})
	if clean { // nearly every line is, and costs no allocation here
		return h.Handler.Handle(ctx, r)
	}
	shown := slog.NewRecord(r.Time, r.Level, h.form.message(printable.Shorten(r.Message, printable.Characters)), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		shown.AddAttrs(h.attr(a))
		return true
	})
	return h.Handler.Handle(ctx, shown)
}

func (h visible) WithAttrs(attrs []slog.Attr) slog.Handler {
	return visible{h.Handler.WithAttrs(h.attrs(attrs)), h.form}
}

func (h visible) WithGroup(name string) slog.Handler {
	return visible{h.Handler.WithGroup(key(name)), h.form}
}

func (h visible) isCleanAttr(a slog.Attr) bool {
	switch a.Value.Kind() {
	case slog.KindString:
		return isName(a.Key) && h.isClean(a.Value.String())
	case slog.KindAny, slog.KindGroup, slog.KindLogValuer:
		return false
	default:
		return isName(a.Key)
	}
}

// isClean says whether text is short and can be handed on as it is.
func (h visible) isClean(text string) bool {
	if len(text) > printable.Characters {
		return false
	}
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' || text[i] == h.form.special {
			return false
		}
	}
	return true
}

func (h visible) attrs(attrs []slog.Attr) []slog.Attr {
	shown := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		shown[i] = h.attr(a)
	}
	return shown
}

func (h visible) attr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindGroup:
		v = slog.GroupValue(h.attrs(v.Group())...)
	case slog.KindString:
		v = h.text(a.Key, v.String())
	case slog.KindAny:
		if v.Any() != nil && !h.form.any(v.Any()) {
			v = h.text(a.Key, textOf(v.Any()))
		}
	}
	return slog.Attr{Key: key(a.Key), Value: v}
}

func (h visible) text(key, text string) slog.Value {
	most := printable.Characters
	if key == stackKey {
		most = stackCharacters
	}
	return h.form.value(printable.Shorten(text, most))
}

// textOf is the text of a value of any type, also of one whose methods panic.
func textOf(v any) string {
	switch v := v.(type) {
	case error: // before an error that marshals
	case []byte:
		return string(v)
	case encoding.TextMarshaler:
		if text, err := guarded(v.MarshalText); err == nil {
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
	document, err := guarded(func() ([]byte, error) { return json.Marshal(v) })
	return err == nil && len(document) <= printable.Characters
}

// guarded calls a method of a logged value. A nil pointer in an interface is the
// usual cause of a panic there.
func guarded(method func() ([]byte, error)) (text []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return method()
}

// validUTF8 escapes the bytes that are no UTF-8, and nothing else.
func validUTF8(text string) string {
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

// quotable returns text as a value that tint writes whole and without an ESC: as
// text where tint cannot go wrong, and otherwise as bytes, which it hands to
// strconv.Quote.
func quotable(text string) slog.Value {
	if printable.Text(text) == text && !strings.ContainsAny(text, "\\\ufffd") {
		return slog.StringValue(text)
	}
	if quoted := strconv.Quote(text); printable.Text(quoted) != quoted {
		text = printable.Text(text) // strconv takes characters such as U+3164 for visible ones
	}
	return slog.AnyValue([]byte(text))
}

// key returns name, or something like it that is short and needs no quoting.
func key(name string) string {
	if isName(name) {
		return name
	}
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || r == ' ' || strings.ContainsRune("\"=\\", r) || printable.Text(string(r)) != string(r) {
			return '_'
		}
		return r
	}, printable.Shorten(name, keyCharacters))
}

// isName says whether key is made of the characters that our keys are made of.
func isName(key string) bool {
	for i := range len(key) {
		switch c := key[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '.', c == '-':
		default:
			return false
		}
	}
	return len(key) <= keyCharacters
}

// visibleJSON escapes in JSON what is not visible.
type visibleJSON struct{ w io.Writer }

func (v visibleJSON) Write(line []byte) (int, error) {
	if _, err := v.w.Write(printable.JSON(line)); err != nil {
		return 0, err
	}
	return len(line), nil
}
