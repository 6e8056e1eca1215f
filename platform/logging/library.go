package logging

import (
	"context"
	"log"
	"log/slog"
	"strings"
)

// Library returns what a library takes for its own log: each thing that it says is a
// line of slog.Default at that level, whatever that is by then.
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
	if traced { // of a panic, with net/http
		attrs = append(attrs, slog.String(stackKey, stack))
	}
	slog.Default().LogAttrs(context.Background(), l.level, message, attrs...)
	return len(text), nil
}
