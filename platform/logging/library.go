package logging

import (
	"context"
	"log"
	"log/slog"
	"strings"
)

// Library returns a *log.Logger for a library. Each message becomes a line of the
// slog.Default of that moment, at level, with the attribute "library".
func Library(name string, level slog.Level) *log.Logger {
	return log.New(libraryWriter{name, level}, "", 0)
}

type libraryWriter struct {
	name  string
	level slog.Level
}

func (l libraryWriter) Write(text []byte) (int, error) {
	message, stack, traced := strings.Cut(strings.TrimSpace(string(text)), "\n")
	attrs := []slog.Attr{slog.String("library", l.name)}
	// net/http appends the stack trace of a panic.
	if traced {
		attrs = append(attrs, slog.String(stackKey, stack))
	}
	slog.Default().LogAttrs(context.Background(), l.level, message, attrs...)
	return len(text), nil
}
