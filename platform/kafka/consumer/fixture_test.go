package consumer_test

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"example.com/todo/platform/kafka/consumer"
	"example.com/todo/platform/kafka/internal/brokertest"
	"example.com/todo/platform/testenv"
)

// groupConfig is the configuration of a group that reads the Env's topic.
func groupConfig(w brokertest.Env, group string) consumer.GroupConfig {
	return consumer.GroupConfig{Config: w.Config(), Group: w.Group(group), Topic: w.Topic, DLQ: w.DLQ}
}

func TestMain(m *testing.M) {
	runVictim()
	testenv.Main(m)
}

// runningGroup is a group whose Run was called.
type runningGroup struct {
	*consumer.Group
	registry *prometheus.Registry
	stop     func() error // ends Run and returns its error
}

func run(t *testing.T, cfg consumer.GroupConfig, handler consumer.Handler) *runningGroup {
	t.Helper()
	return runLogging(t, cfg, handler, logger(t))
}

func runLogging(t *testing.T, cfg consumer.GroupConfig, handler consumer.Handler, log *slog.Logger) *runningGroup {
	t.Helper()
	registry := prometheus.NewRegistry()
	group := consumer.NewGroup(cfg, handler, log, registry)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- group.Run(ctx) }()
	r := &runningGroup{Group: group, registry: registry}
	r.stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(20 * time.Second):
			t.Error("Run did not end")
			return nil
		}
	})
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return r
}

// headersOf returns the record's headers by name.
func headersOf(record *kgo.Record) map[string]string {
	headers := map[string]string{}
	for _, header := range record.Headers {
		headers[header.Key] = string(header.Value)
	}
	return headers
}

// logger is silent unless KAFKA_TEST_LOG is set.
func logger(t *testing.T) *slog.Logger {
	if os.Getenv("KAFKA_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}
