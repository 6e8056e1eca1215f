package stack

import (
	"fmt"
	"strings"
	"time"

	"example.com/todo/contracts/event"
)

// banner lists the addresses of all parts and commands to try.
func (s Settings) banner(startTime time.Duration) string {
	p := s.Ports
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("")
	line("Ready after %s.", startTime.Round(100*time.Millisecond))
	line("")
	line("  todo-service           http://localhost:%d/tasks   gRPC localhost:%d   ops http://localhost:%d/metrics",
		p[todoHTTP], p[todoGRPC], p[todoOps])
	line("  stats-service          http://localhost:%d/stats   ops http://localhost:%d/metrics", p[statsHTTP], p[statsOps])
	line("  notification-service   ops http://localhost:%d/metrics", p[notificationOps])
	line("  PostgreSQL             postgres://%s:%s@localhost:%d/%s", appAccount, appAccount, p[postgresPort], appAccount)
	line("  Redis                  localhost:%d", p[redisPort])
	line("  Kafka (%s)       localhost:%d   topics %s, %s", s.Kafka, p[kafkaPort], event.Topic, event.DLQTopic)
	line("  data                   %s", s.data())
	line("  logs                   %s", s.log())
	line("")
	line("Try, in another terminal:")
	line("")
	line(`  curl --json '{"title":"Learn Go"}' localhost:%d/tasks`, p[todoHTTP])
	line("  curl localhost:%d/tasks", p[todoHTTP])
	line("  curl -X PATCH localhost:%d/tasks/1/done", p[todoHTTP])
	line("  curl localhost:%d/stats", p[statsHTTP])
	line("  go run ./todo-service/cmd/grpc-client --addr localhost:%d", p[todoGRPC])
	line("  redis-cli -p %d get tasks:all", p[redisPort])
	line(`  kcat -b localhost:%d -C -t %s -e -f '%%k %%h\n%%s\n'   (or: .dev/bin/devstack tail)`, p[kafkaPort], event.Topic)
	line("  make stop PART=kafka    make start PART=kafka")
	line("")
	line("Ctrl-C stops everything; the data stays until make reset.")
	line("")
	return b.String()
}
