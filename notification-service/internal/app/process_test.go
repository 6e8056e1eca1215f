//go:build unix

package app_test

import (
	"testing"

	"example.com/todo/notification-service/internal/app"
	"example.com/todo/platform/command"
	"example.com/todo/platform/process/processtest"
	"example.com/todo/platform/testenv"
)

const service = "notification-service"

// TestMain lets the test binary run as the service.
func TestMain(m *testing.M) {
	processtest.Main(m, command.New(service, "Consumes", app.Load, app.Run).Main)
}

// variables returns the environment of a service whose Redis and Kafka are down.
func variables(t *testing.T) (env []string, ops string) {
	t.Helper()
	down, ops := testenv.FreeAddr(t), testenv.FreeAddr(t)
	return []string{
		"OPS_ADDR=" + ops, "DRAIN_WAIT=0s", "REDIS_ADDR=" + down, "KAFKA_BROKERS=" + down,
	}, ops
}

func TestServiceProcessFollowsTheProcessContract(t *testing.T) {
	t.Parallel()
	processtest.Check(t, processtest.Service{
		Name: service, Settings: variables, Exercise: processtest.SendRequests("/livez"), Libraries: []string{"sarama", "go-redis"},
	})
}
