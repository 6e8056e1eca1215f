package logging_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"

	"example.com/todo/platform/config"
	"example.com/todo/platform/logging"
)

func withSpan(ctx context.Context) context.Context {
	return trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1, 2}, SpanID: trace.SpanID{3, 4},
	}))
}

func TestEachLineNamesItsRequestAndTrace(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := logging.New(&out, logging.Config{}, "some-service")
	ctx := withSpan(logging.WithRequestID(t.Context(), "req-1"))
	log.With("a", 1).InfoContext(ctx, "hello", "b", "two")

	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse(time.RFC3339Nano, line["time"].(string))
	if err != nil || at.Location() != time.UTC {
		t.Errorf("time %v is not RFC 3339 in UTC", line["time"])
	}
	delete(line, "time")
	want := map[string]any{
		"level": "INFO", "msg": "hello", "service": "some-service", "a": 1.0, "b": "two",
		"request_id": "req-1", "trace_id": "01020000000000000000000000000000", "span_id": "0304000000000000",
	}
	if diff := cmp.Diff(want, line); diff != "" {
		t.Error(diff)
	}
}

func TestLineOutsideARequestNamesNoRequest(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logging.New(&out, logging.Config{}, "s").InfoContext(t.Context(), "hello")
	for _, key := range []string{"request_id", "trace_id", "span_id"} {
		if strings.Contains(out.String(), key) {
			t.Errorf("%s in %s", key, out.String())
		}
	}
}

func TestFormatAndLevelFollowTheConfig(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		cfg  logging.Config
		json bool
	}{
		"auto is JSON without a terminal": {logging.Config{Format: "auto"}, true},
		"json":                            {logging.Config{Format: "json"}, true},
		"text":                            {logging.Config{Format: "text"}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			log := logging.New(&out, test.cfg, "s")
			log.Debug("below the level")
			log.WithGroup("g").Info("hello", "k", "v")
			if got := json.Valid(out.Bytes()); got != test.json {
				t.Errorf("JSON: %v, want %v: %s", got, test.json, out.String())
			}
			if !strings.Contains(out.String(), "hello") || strings.Contains(out.String(), "below") {
				t.Errorf("wrong lines: %s", out.String())
			}
			if strings.Contains(out.String(), "\x1b") {
				t.Errorf("colour codes without a terminal: %q", out.String())
			}
		})
	}
}

func TestConfigRejectsUnknownFormatsAndLevels(t *testing.T) {
	t.Parallel()
	cfg := struct {
		Log logging.Config `config:"log"`
	}{}
	if err := config.Load(&cfg, "", []string{"LOG_FORMAT=xml"}); err == nil || !strings.Contains(err.Error(), `log.format: "xml" from environment LOG_FORMAT`) {
		t.Errorf("got %v", err)
	}
	if err := config.Load(&cfg, "", []string{"LOG_FORMAT=json", "LOG_LEVEL=debug"}); err != nil || cfg.Log.Level != slog.LevelDebug {
		t.Errorf("got %v, level %v", err, cfg.Log.Level)
	}
}
