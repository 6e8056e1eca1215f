package stack

import (
	"os"
	"strconv"
	"time"

	"example.com/todo/contracts/event"
	"example.com/todo/scripts/internal/server"
)

const bannerText = `
Ready after $TIME.

  the page               http://localhost:$TODO_HTTP_PORT/
  todo-service           http://localhost:$TODO_HTTP_PORT/tasks   gRPC localhost:$TODO_GRPC_PORT
                         ops http://localhost:$TODO_OPS_PORT/metrics
  stats-service          http://localhost:$STATS_HTTP_PORT/stats   ops http://localhost:$STATS_OPS_PORT/metrics
  notification-service   ops http://localhost:$NOTIFICATION_OPS_PORT/metrics
  PostgreSQL             postgres://$ACCOUNT:$ACCOUNT@localhost:$POSTGRES_PORT/$ACCOUNT
  Redis                  localhost:$REDIS_PORT
  Kafka ($KAFKA)       localhost:$KAFKA_PORT   topics $TOPIC, $DLQ_TOPIC
  data                   $DATA
  logs                   $LOGS

Try, in another terminal:

  curl --json '{"title":"Learn Go"}' localhost:$TODO_HTTP_PORT/tasks
  curl localhost:$TODO_HTTP_PORT/tasks
  curl -X PATCH localhost:$TODO_HTTP_PORT/tasks/1/done
  curl localhost:$STATS_HTTP_PORT/stats
  go run ./todo-service/cmd/grpc-client --addr localhost:$TODO_GRPC_PORT
  redis-cli -p $REDIS_PORT get tasks:all
  kcat -b localhost:$KAFKA_PORT -C -t $TOPIC -e -f '%k %h\n%s\n'   (or: .dev/bin/devstack tail)
  make stop PART=kafka    make start PART=kafka

Ctrl-C stops everything; the data stays until make reset.

`

// banner lists the addresses of all parts and commands to try.
func (s Settings) banner(startTime time.Duration) string {
	values := map[string]string{
		"TIME": startTime.Round(100 * time.Millisecond).String(), "ACCOUNT": server.AppUser, "KAFKA": s.Kafka,
		"TOPIC": event.Topic, "DLQ_TOPIC": event.DLQTopic, "DATA": s.data(), "LOGS": s.log(),
	}
	for variable, port := range s.Ports {
		values[variable] = strconv.Itoa(port)
	}
	return os.Expand(bannerText, func(name string) string { return values[name] })
}
