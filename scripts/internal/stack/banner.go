package stack

import (
	"fmt"
	"strings"
	"time"

	"example.com/todo/contracts/event"
)

// banner tells where everything is, and what to try.
func (s Settings) banner(took time.Duration) string {
	p := s.Ports
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say("")
	say("Ready after %s.", took.Round(100*time.Millisecond))
	say("")
	say("  todo-service           http://localhost:%d/tasks   gRPC localhost:%d   ops http://localhost:%d/metrics",
		p[TodoHTTP], p[TodoGRPC], p[TodoOps])
	say("  stats-service          http://localhost:%d/stats   ops http://localhost:%d/metrics", p[StatsHTTP], p[StatsOps])
	say("  notification-service   ops http://localhost:%d/metrics", p[NotificationOps])
	say("  PostgreSQL             postgres://%s:%s@localhost:%d/%s", appUser, appPassword, p[PostgresPort], appDatabase)
	say("  Redis                  localhost:%d", p[RedisPort])
	say("  Kafka (%s)       localhost:%d   topics %s, %s", s.Kafka, p[KafkaPort], event.Topic, event.DLQTopic)
	say("  data                   %s", s.data())
	say("  logs                   %s", s.log())
	say("")
	say("Try, in another terminal:")
	say("")
	say(`  curl --json '{"title":"Learn Go"}' localhost:%d/tasks`, p[TodoHTTP])
	say("  curl localhost:%d/tasks", p[TodoHTTP])
	say("  curl -X PATCH localhost:%d/tasks/1/done", p[TodoHTTP])
	say("  curl localhost:%d/stats", p[StatsHTTP])
	say("  go run ./todo-service/cmd/grpc-client --addr localhost:%d", p[TodoGRPC])
	say("  redis-cli -p %d get tasks:all", p[RedisPort])
	say(`  kcat -b localhost:%d -C -t %s -e -f '%%k %%h\n%%s\n'   (or: .dev/bin/devstack tail)`, p[KafkaPort], event.Topic)
	say("  make stop PART=kafka    make start PART=kafka")
	say("")
	say("Ctrl-C stops everything; the data stays until make reset.")
	say("")
	return b.String()
}
