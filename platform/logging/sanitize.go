package logging

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"unicode/utf8"

	"example.com/todo/platform/printable"
)

const (
	stackKey = "stack"
	// maxStackCharacters is higher than that of other values: a stack trace without its
	// middle is of no use, and no client writes it.
	maxStackCharacters = 16 << 10
)

// sanitizingHandler passes records of short text and numbers, which nearly all are, to a
// handler without a ReplaceAttr: with one, slog takes a third longer for a line.
type sanitizingHandler struct{ plain, sanitizing slog.Handler }

func (h sanitizingHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.sanitizing.Enabled(ctx, level)
}

func (h sanitizingHandler) Handle(ctx context.Context, r slog.Record) error {
	plain := isPlainText(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		plain = plain && isPlainAttr(a)
		return plain
	})
	if plain {
		return h.plain.Handle(ctx, r)
	}
	return h.sanitizing.Handle(ctx, r)
}

func (h sanitizingHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	sanitizing := h.sanitizing.WithAttrs(attrs)
	for _, a := range attrs {
		if !isPlainAttr(a) {
			return sanitizing
		}
	}
	return sanitizingHandler{h.plain.WithAttrs(attrs), sanitizing}
}

func (h sanitizingHandler) WithGroup(name string) slog.Handler {
	return sanitizingHandler{h.plain.WithGroup(name), h.sanitizing.WithGroup(name)}
}

// isPlainAttr reports whether sanitizeAttr would leave a, and all that is in it, unchanged.
func isPlainAttr(a slog.Attr) bool {
	switch a.Value.Kind() {
	case slog.KindString:
		return isPlainText(a.Value.String())
	case slog.KindAny, slog.KindGroup, slog.KindLogValuer:
		return false
	default:
		return true
	}
}

func isPlainText(text string) bool {
	return utf8.ValidString(text) && printable.Truncate(text, printable.MaxCharacters) == text
}

// sanitizeAttr is the ReplaceAttr of both formats: it bounds the text of message and values.
func sanitizeAttr(_ []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = sanitizeText(a.Key, a.Value.String())
	case slog.KindAny:
		value := a.Value.Any()
		if level, ok := value.(slog.Level); ok {
			return slog.String(a.Key, level.String()) // faster than its JSON
		}
		text := fmt.Sprintf("%+v", value) // recovers from panics
		isPlain := len(text) <= printable.MaxCharacters && utf8.ValidString(text)
		if _, ok := value.(error); ok || !isPlain || !isShortJSON(value) {
			a.Value = sanitizeText(a.Key, text)
		}
	}
	return a
}

// isShortJSON reports whether the JSON of value has a bounded length. Its text may be
// shorter: JSON has the values of pointers, and calls other methods.
func isShortJSON(value any) (short bool) {
	defer func() { _ = recover() }() // from a panic of MarshalJSON
	document, err := json.Marshal(value)
	return err == nil && len(document) <= printable.MaxCharacters
}

func sanitizeText(key, text string) slog.Value {
	limit := printable.MaxCharacters
	if key == stackKey {
		limit = maxStackCharacters
	}
	text = printable.Truncate(text, limit)
	// The handlers would lose the bytes that are not UTF-8.
	if !utf8.ValidString(text) {
		text = printable.Escape(text)
	}
	return slog.StringValue(text)
}

// escapingWriter escapes the invisible characters of lines. Several handlers may use it.
type escapingWriter struct {
	mu     sync.Mutex
	w      io.Writer
	escape func(line []byte) []byte
}

func (e *escapingWriter) Write(line []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, err := e.w.Write(e.escape(line)); err != nil {
		return 0, err
	}
	return len(line), nil
}

func escapeTextLine(line []byte) []byte {
	return []byte(printable.Escape(strings.TrimSuffix(string(line), "\n")) + "\n")
}
