//go:build unix

package app_test

import (
	"testing"

	"example.com/todo/platform/command"
	"example.com/todo/platform/process/processtest"
	"example.com/todo/platform/testenv"
	"example.com/todo/stats-service/internal/app"
)

const service = "stats-service"

// TestMain lets the test binary run as the service.
func TestMain(m *testing.M) {
	processtest.Main(m, command.New(service, "Consumes", app.Load, app.Run).Main)
}

// variables returns the environment of a service whose Redis, Kafka and trace receiver
// are down.
func variables(t *testing.T) (env []string, ops string) {
	t.Helper()
	down, ops := testenv.FreeAddr(t), testenv.FreeAddr(t)
	return []string{
		"HTTP_ADDR=" + testenv.FreeAddr(t), "OPS_ADDR=" + ops, "DRAIN_WAIT=0s", "REDIS_ADDR=" + down, "KAFKA_BROKERS=" + down,
		"TRACING_ENDPOINT=" + down, "OTEL_BSP_SCHEDULE_DELAY=50", "OTEL_EXPORTER_OTLP_TIMEOUT=200",
	}, ops
}

func TestServiceProcessFollowsTheProcessContract(t *testing.T) {
	t.Parallel()
	processtest.Check(t, processtest.Service{
		Name: service, Settings: variables, Exercise: processtest.SendRequests("/stats"), Libraries: []string{"sarama", "go-redis", "opentelemetry"},
	})
}
