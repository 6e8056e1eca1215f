package httpserver_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"example.com/todo/platform/httpserver"
	"example.com/todo/platform/logging"
	"example.com/todo/platform/process/processtest"
	"example.com/todo/platform/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// telemetryRecorder records log lines and metrics.
type telemetryRecorder struct {
	log processtest.Log
	reg *prometheus.Registry
	tp  trace.TracerProvider
}

func newTelemetryRecorder() *telemetryRecorder {
	return &telemetryRecorder{reg: prometheus.NewRegistry(), tp: noop.NewTracerProvider()}
}

func (o *telemetryRecorder) telemetry() httpserver.Telemetry {
	return httpserver.Telemetry{Log: logging.New(&o.log, logging.Config{Level: slog.LevelDebug}, "test"), Registry: o.reg, Tracer: o.tp}
}

// lines returns the log lines with message.
func (o *telemetryRecorder) lines(t *testing.T, message string) []map[string]any {
	t.Helper()
	var found []map[string]any
	for text := range strings.Lines(o.log.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if line["msg"] == message {
			found = append(found, line)
		}
	}
	return found
}

// metrics returns the samples of a metric as text.
func (o *telemetryRecorder) metrics(t *testing.T, name string) string {
	t.Helper()
	families, err := o.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.Metric {
			for _, label := range m.Label {
				out.WriteString(label.GetName() + "=" + label.GetValue() + " ")
			}
			if m.Counter != nil {
				fmt.Fprint(&out, m.Counter.GetValue())
			}
			if m.Histogram != nil {
				out.WriteString("count")
			}
			out.WriteString("\n")
		}
	}
	return out.String()
}
