// Package logging stub.
package logging

import (
	"context"
	"io"
	"log/slog"
)

type Config struct {
	Level  slog.Level `config:"level"`
	Format string     `config:"format"`
}

func New(w io.Writer, cfg Config, service string) *slog.Logger { return slog.New(slog.NewJSONHandler(w, nil)) }

type key struct{}

func WithRequestID(ctx context.Context, id string) context.Context { return context.WithValue(ctx, key{}, id) }
func RequestID(ctx context.Context) string                         { id, _ := ctx.Value(key{}).(string); return id }
func AcceptRequestID(incoming string) string                       { panic("soon") }
