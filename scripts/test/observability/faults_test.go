package observability

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/IBM/sarama"

	"example.com/todo/platform/testenv"
)

// startWebhook starts a receiver of notifications that refuses every tenth request for a
// passing reason.
func startWebhook(t *testing.T) (url string) {
	t.Helper()
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1)%10 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// injectFaults does what a healthy system never sees, and waits for each fault to be visible
// in Prometheus.
func injectFaults(t *testing.T, s *system, p *prometheus) {
	t.Helper()
	sendRecords(t, s.env["KAFKA_BROKERS"],
		"rubbish",
		`{"id":"01890a5d-ac96-774b-bcce-b302099a8057","type":"task.archived","task_id":1,"task_title":"of an unknown type","timestamp":"2026-01-15T10:00:00Z"}`,
		// Without this, today's completions would be all that there are.
		`{"id":"01890a5d-ac96-774b-bcce-b302099a8058","type":"task.completed","task_id":1000000001,"task_title":"of another day","timestamp":"2026-01-15T10:00:00Z"}`,
	)
	awaitPositive(t, p, "dead letters of each group",
		`min(sum by (group) (kafka_consumer_records_total{outcome="dead_lettered"}))`)
	awaitPositive(t, p, "unknown events", `min({__name__=~"(notification|stats)_events_unknown_total"})`)

	release := occupyConnections(t, s.env["TODO_HTTP_ADDR"])
	awaitPositive(t, p, "refused connections", `server_connections_refused_total{server="http",limit="server"}`)
	release()

	for _, fault := range []struct{ part, what, expr string }{
		{"redis", "requests that pass the limiter uncounted, and retries of both groups",
			`sum(todo_ratelimit_unavailable_total) * min(sum by (group) (kafka_consumer_retries_total))`},
		{"kafka", "events that wait", `todo_outbox_oldest_seconds{cursor="kafka"}`},
		{"postgres", "failed requests and calls",
			`sum(http_requests_total{code=~"5.."}) * sum(grpc_server_handled_total{grpc_code="Unavailable"})`},
	} {
		s.stop(t, fault.part)
		awaitPositive(t, p, fault.what, fault.expr)
		s.start(t, fault.part)
	}
}

func awaitPositive(t *testing.T, p *prometheus, what, expr string) {
	t.Helper()
	testenv.Eventually(t, what, func() bool {
		value, err := p.value(t.Context(), expr)
		return err == nil && value > 0
	})
}

// sendRecords writes records to the topic of events.
func sendRecords(t *testing.T, broker string, values ...string) {
	t.Helper()
	cfg := sarama.NewConfig()
	cfg.Producer.Return.Successes = true
	producer, err := sarama.NewSyncProducer([]string{broker}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	for _, value := range values {
		if _, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: "task-events", Value: sarama.StringEncoder(value)}); err != nil {
			t.Fatal(err)
		}
	}
}

// occupyConnections opens more connections than the server allows, until release is called.
func occupyConnections(t *testing.T, addr string) (release func()) {
	t.Helper()
	var open []net.Conn
	for range maxConns + 10 {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, conn)
	}
	return func() {
		for _, conn := range open {
			_ = conn.Close()
		}
	}
}
