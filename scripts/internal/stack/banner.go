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
		p[todoHTTP], p[todoGRPC], p[todoOps])
	say("  stats-service          http://localhost:%d/stats   ops http://localhost:%d/metrics", p[statsHTTP], p[statsOps])
	say("  notification-service   ops http://localhost:%d/metrics", p[notificationOps])
	say("  PostgreSQL             postgres://%s:%s@localhost:%d/%s", appUser, appPassword, p[postgresPort], appDatabase)
	say("  Redis                  localhost:%d", p[redisPort])
	say("  Kafka (%s)       localhost:%d   topics %s, %s", s.Kafka, p[kafkaPort], event.Topic, event.DLQTopic)
	say("  data                   %s", s.data())
	say("  logs                   %s", s.log())
	say("")
	say("Try, in another terminal:")
	say("")
	say(`  curl --json '{"title":"Learn Go"}' localhost:%d/tasks`, p[todoHTTP])
	say("  curl localhost:%d/tasks", p[todoHTTP])
	say("  curl -X PATCH localhost:%d/tasks/1/done", p[todoHTTP])
	say("  curl localhost:%d/stats", p[statsHTTP])
	say("  go run ./todo-service/cmd/grpc-client --addr localhost:%d", p[todoGRPC])
	say("  redis-cli -p %d get tasks:all", p[redisPort])
	say(`  kcat -b localhost:%d -C -t %s -e -f '%%k %%h\n%%s\n'   (or: .dev/bin/devstack tail)`, p[kafkaPort], event.Topic)
	say("  make stop PART=kafka    make start PART=kafka")
	say("")
	say("Ctrl-C stops everything; the data stays until make reset.")
	say("")
	return b.String()
}
