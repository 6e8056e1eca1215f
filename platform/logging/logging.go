// Package logging implements structured logging on log/slog: JSON, or text on a terminal,
// with request and trace ids, sanitized values, and a writer that never blocks for long.
//
// A record passes from left to right:
//
//	contextHandler  →  sanitizingHandler  →  slog JSON handler  →  escapingWriter      →  droppingWriter
//	adds ids           (JSON only)           or tint text          escapes invisible      or any io.Writer
//	                                                               characters
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
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/lmittmann/tint"
	"go.opentelemetry.io/otel/trace"

	"example.com/todo/platform/config"
	"example.com/todo/platform/printable"
)

// Config has the minimal level and the format: "json", "text", or "auto", which is text
// when the output is a terminal and JSON otherwise.
type Config struct {
	Level  slog.Level `config:"level"`
	Format string     `config:"format"`
}

// Validate returns an error for an unknown format, or a level without a name: INFO+100
// would silence every line.
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

// New returns a logger that writes to w. Each line has the attribute service, the time in
// UTC, and request_id, trace_id and span_id when the context has them. Each record is
// one line of visible characters. The message and each value have at most
// printable.MaxCharacters, the value of the key "stack" 16,384.
func New(w io.Writer, cfg Config, service string) *slog.Logger {
	var h slog.Handler
	if cfg.Format == "text" || cfg.Format != "json" && isTerminal(w) {
		h = tint.NewTextHandler(&escapingWriter{w: w, escape: escapeTextLine}, &tint.Options{
			Level: cfg.Level, ReplaceAttr: sanitizeAttr, TimeFormat: time.TimeOnly, NoColor: true,
		})
	} else {
		out := &escapingWriter{w: w, escape: printable.EscapeJSON}
		h = sanitizingHandler{
			plain:      slog.NewJSONHandler(out, &slog.HandlerOptions{Level: cfg.Level}),
			sanitizing: slog.NewJSONHandler(out, &slog.HandlerOptions{Level: cfg.Level, ReplaceAttr: sanitizeAttr}),
		}
	}
	out, _ := w.(*droppingWriter)
	return slog.New(contextHandler{h, out}).With("service", service)
}

// Open returns the logger of the process, which writes to standard error, and sets it as
// slog.Default, so that libraries log there too. While the reader of standard error
// stalls, lines are dropped; after that one line reports how many.
func Open(cfg Config, service string) *slog.Logger {
	log := New(standardError, cfg, service)
	slog.SetDefault(log)
	opened.Store(log)
	return log
}

// Opened returns the logger of the last Open, or nil before the first.
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

// contextHandler adds the ids of the context to each record, sets its time to UTC, and
// reports dropped lines.
type contextHandler struct {
	slog.Handler
	dropping *droppingWriter // nil: the output drops no lines
}

func (h contextHandler) Handle(ctx context.Context, r slog.Record) error {
	r.Time = r.Time.UTC()
	ids := make([]slog.Attr, 0, 3)
	if id := RequestID(ctx); id != "" {
		ids = append(ids, slog.String("request_id", id))
	}
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		ids = append(ids, slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	r.AddAttrs(ids...)
	if err := h.Handler.Handle(ctx, r); err != nil || h.dropping == nil || h.dropping.dropped.Load() == 0 {
		return err
	}
	dropped := h.dropping.dropped.Swap(0)
	report := slog.NewRecord(time.Now().UTC(), slog.LevelWarn, "logging: the reader of standard error stalled, lines were dropped", 0)
	report.AddAttrs(slog.Int64("lines", dropped))
	err := h.Handler.Handle(ctx, report)
	if err != nil {
		h.dropping.dropped.Add(dropped)
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

// WithRequestID returns a context whose log lines have the attribute request_id.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID returns the request id in ctx, or "".
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

const (
	requestIDCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
	maxRequestIDBytes   = 64
)

// AcceptRequestID returns the id that a client sent if it is safe to log and echo: 1 to 64
// letters, digits, dots, dashes and underscores. Otherwise it returns a new UUID.
func AcceptRequestID(incoming string) string {
	if incoming == "" || len(incoming) > maxRequestIDBytes || strings.Trim(incoming, requestIDCharacters) != "" {
		return newRequestID()
	}
	return incoming
}

// newRequestID returns a random UUID, version 4.
func newRequestID() string {
	// The id must be unique, but need not be hard to guess: math/rand is faster.
	var id uuid.UUID
	binary.NativeEndian.PutUint64(id[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(id[8:], rand.Uint64())
	id[6] = id[6]&0x0f | 0x40 // version 4
	id[8] = id[8]&0x3f | 0x80
	return id.String()
}
