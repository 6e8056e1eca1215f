package command

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"

	"github.com/IBM/sarama"
	"github.com/go-logr/logr"
	goredis "github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel"
	"google.golang.org/grpc/grpclog"

	"example.com/todo/platform/logging"
)

// redirectLibraries sends the log messages of libraries to the process's log. Call it before any library is used:
// Sarama and grpc-go read their loggers without a lock. logging.Open redirects the package log, which
// net/http's client, goose and others use.
func redirectLibraries() {
	// Sarama and go-redis log each connection attempt. Their callers log their errors anyway.
	sarama.Logger = logging.Library("sarama", slog.LevelDebug)
	goredis.SetLogger(redisLogger{})
	grpclog.SetLoggerV2(grpcLogger{
		grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard),
		logging.Library("grpc-go", slog.LevelError),
		logging.Library("grpc-go", slog.LevelWarn),
		logging.Library("grpc-go", slog.LevelDebug),
	})
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		slog.Default().LogAttrs(context.Background(), slog.LevelWarn, "OpenTelemetry failed", slog.String("library", "opentelemetry"), slog.Any("error", err))
	}))
	otel.SetLogger(logr.FromSlogHandler(defaultHandler{slog.Default().Handler()}))
}

// defaultHandler forwards each record to the current handler of slog.Default.
type defaultHandler struct{ slog.Handler }

func (defaultHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return slog.Default().Enabled(ctx, level)
}

func (defaultHandler) Handle(ctx context.Context, r slog.Record) error {
	r.AddAttrs(slog.String("library", "opentelemetry"))
	return slog.Default().Handler().Handle(ctx, r)
}

type redisLogger struct{}

func (redisLogger) Printf(ctx context.Context, format string, values ...any) {
	slog.Default().LogAttrs(ctx, slog.LevelDebug, fmt.Sprintf(format, values...), slog.String("library", "go-redis"))
}

// grpcLogger lowers grpc-go's levels, whose messages are about single connections: errors become warnings, warnings
// debug messages. Info messages go to the embedded logger, which discards them.
type grpcLogger struct {
	grpclog.LoggerV2
	fatal, warn, debug *log.Logger
}

func (l grpcLogger) Warning(args ...any)                 { l.debug.Print(args...) }
func (l grpcLogger) Warningln(args ...any)               { l.debug.Println(args...) }
func (l grpcLogger) Warningf(format string, args ...any) { l.debug.Printf(format, args...) }

func (l grpcLogger) Error(args ...any)                 { l.warn.Print(args...) }
func (l grpcLogger) Errorln(args ...any)               { l.warn.Println(args...) }
func (l grpcLogger) Errorf(format string, args ...any) { l.warn.Printf(format, args...) }

func (l grpcLogger) Fatal(args ...any)                 { l.fatal.Fatal(args...) }
func (l grpcLogger) Fatalln(args ...any)               { l.fatal.Fatalln(args...) }
func (l grpcLogger) Fatalf(format string, args ...any) { l.fatal.Fatalf(format, args...) }
