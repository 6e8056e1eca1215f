// Package logging makes the structured logger of a service: JSON for machines,
// readable text on a terminal, each line with the request and trace it belongs to.
package logging

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/lmittmann/tint"
	"go.opentelemetry.io/otel/trace"

	"example.com/todo/platform/config"
)

// Config says what is logged and how. Format is "json", "text", or "auto":
// text when the output is a terminal, JSON otherwise.
type Config struct {
	Level  slog.Level `config:"level"`
	Format string     `config:"format"`
}

// Validate refuses an unknown format, and a level between or beyond those that have a
// name: INFO+100 would silence every line.
func (c Config) Validate() error {
	var errs []error
	if !slices.Contains([]string{"", "auto", "json", "text"}, c.Format) {
		errs = append(errs, config.Invalid("format", "must be auto, json or text"))
	}
	if !slices.Contains([]slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}, c.Level) {
		errs = append(errs, config.Invalid("level", "must be DEBUG, INFO, WARN or ERROR"))
	}
	return errors.Join(errs...)
}

// New returns a logger that writes to w and names the service in every line.
// Its …Context methods add request_id, trace_id and span_id when ctx has them.
// Times are in UTC. Whatever message and values are made of, a line is one line of
// visible characters; each value and the message are bounded by
// printable.Characters, and the value of the key "stack" by 16,384.
func New(w io.Writer, cfg Config, service string) *slog.Logger {
	terminal := isTerminal(w)
	var h slog.Handler
	if cfg.Format == "text" || cfg.Format != "json" && terminal {
		h = sanitizingHandler{tint.NewTextHandler(w, &tint.Options{Level: cfg.Level, TimeFormat: time.TimeOnly, NoColor: !terminal}), textFormat}
	} else {
		h = sanitizingHandler{slog.NewJSONHandler(escapingWriter{w}, &slog.HandlerOptions{Level: cfg.Level}), jsonFormat}
	}
	out, _ := w.(*droppingWriter)
	return slog.New(contextHandler{h, out}).With("service", service)
}

// Open returns the logger of this process: New on standard error. What libraries
// log goes there too from now on, as far as they use slog.Default or the package log.
// While the reader of standard error takes nothing, lines are dropped; a line tells how
// many once it does.
func Open(cfg Config, service string) *slog.Logger {
	log := New(standardError, cfg, service)
	slog.SetDefault(log)
	opened.Store(log)
	return log
}

// Opened returns the logger that Open returned last, or nil before that.
func Opened() *slog.Logger { return opened.Load() }

var opened atomic.Pointer[slog.Logger]

var standardError = &droppingWriter{File: os.Stderr}

func isTerminal(w io.Writer) bool {
	f, ok := w.(interface{ Stat() (os.FileInfo, error) })
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// contextHandler adds what ctx knows to each record, puts its time into UTC, and tells of
// lines that out has dropped.
type contextHandler struct {
	slog.Handler
	dropping *droppingWriter // nil where none are dropped
}

func (h contextHandler) Handle(ctx context.Context, r slog.Record) error {
	r.Time = r.Time.UTC()
	known := make([]slog.Attr, 0, 3)
	if id := RequestID(ctx); id != "" {
		known = append(known, slog.String("request_id", id))
	}
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		known = append(known, slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	r.AddAttrs(known...)
	if err := h.Handler.Handle(ctx, r); err != nil || h.dropping == nil || h.dropping.dropped.Load() == 0 {
		return err
	}
	lost := h.dropping.dropped.Swap(0)
	told := slog.NewRecord(time.Now().UTC(), slog.LevelWarn, "lines of this log were dropped: its reader took nothing", 0)
	told.AddAttrs(slog.Int64("lines", lost))
	err := h.Handler.Handle(ctx, told)
	if err != nil {
		h.dropping.dropped.Add(lost)
	}
	return err
}

func (h contextHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return contextHandler{h.Handler.WithAttrs(attrs), h.dropping}
}

func (h contextHandler) WithGroup(name string) slog.Handler {
	return contextHandler{h.Handler.WithGroup(name), h.dropping}
}

type requestIDKey struct{}

// WithRequestID returns a context whose log lines carry id.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID returns the request id in ctx, or "".
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// AcceptRequestID returns the id a client sent when it is safe to log and to
// echo (1 to 64 letters, digits, dots, dashes and underscores), and a new one
// otherwise.
func AcceptRequestID(incoming string) string {
	if incoming == "" || len(incoming) > 64 {
		return newRequestID()
	}
	for _, c := range []byte(incoming) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '-', c == '_':
		default:
			return newRequestID()
		}
	}
	return incoming
}

// newRequestID returns a random UUID. It has to be new, not hard to guess.
func newRequestID() string {
	var id uuid.UUID
	binary.NativeEndian.PutUint64(id[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(id[8:], rand.Uint64())
	id[6] = id[6]&0x0f | 0x40 // version 4
	id[8] = id[8]&0x3f | 0x80
	return id.String()
}
