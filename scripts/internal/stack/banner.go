package stack

import (
	"os"
	"path/filepath"
	"strconv"
	"time"

	"example.com/todo/contracts/event"
	"example.com/todo/scripts/internal/server"
	"example.com/todo/scripts/internal/toolchain"
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

// secureBannerText names the files of secrets, and no secret. curl reads CURL_CA_BUNDLE.
const secureBannerText = `
Ready after $TIME, with sign-in, TLS, and a user of each server for each service.

  the page               https://localhost:$TODO_HTTP_PORT/   (let the browser trust $TLS/ca.crt)
  todo-service           https://localhost:$TODO_HTTP_PORT/tasks   gRPC localhost:$TODO_GRPC_PORT
                         ops https://localhost:$TODO_OPS_PORT/metrics
  stats-service          https://localhost:$STATS_HTTP_PORT/stats   ops https://localhost:$STATS_OPS_PORT/metrics
  notification-service   ops https://localhost:$NOTIFICATION_OPS_PORT/metrics
  PostgreSQL             localhost:$POSTGRES_PORT   users todo_migrate, todo_service
  Redis                  localhost:$REDIS_PORT   users admin, and each service
  Kafka ($KAFKA)       localhost:$KAFKA_PORT   the same   topics $TOPIC, $DLQ_TOPIC
  passwords              $SECRETS
  data                   $DATA
  logs                   $LOGS

Try, in another terminal:

  tls=$TLS secrets=$SECRETS
  export CURL_CA_BUNDLE=$tls/ca.crt
  user='{"email":"ann@example.com","password":"a-Phrase-of-mine-73"}'
  curl --json "$user" https://localhost:$TODO_HTTP_PORT/users
  token=$(curl -s --json "$user" https://localhost:$TODO_HTTP_PORT/sessions | sed 's/.*"token":"\([^"]*\)".*/\1/')
  curl --oauth2-bearer $token --json '{"title":"Learn Go"}' https://localhost:$TODO_HTTP_PORT/tasks
  curl --oauth2-bearer $token -X PATCH https://localhost:$TODO_HTTP_PORT/tasks/1/done
  curl --oauth2-bearer $token https://localhost:$STATS_HTTP_PORT/stats
  curl --cert $tls/client.crt --key $tls/client.key https://localhost:$TODO_OPS_PORT/metrics
  go run ./todo-service/cmd/grpc-client --ca $tls/ca.crt --addr localhost:$TODO_GRPC_PORT \
    login --email ann@example.com --http-url https://localhost:$TODO_HTTP_PORT
  psql "$(cat $secrets/dsn-todo_service)" -c 'SELECT id, user_id, title FROM tasks'
  REDISCLI_AUTH=$(cat $secrets/redis-admin) redis-cli --tls --cacert $tls/ca.crt --user admin -p $REDIS_PORT keys '*'
  $TAIL
  make stop PART=kafka    make start PART=kafka

Ctrl-C stops everything; the data, the certificates and the passwords stay until make reset.

`

// kcat does not speak to the embedded Kafka with SASL, which has a later version of its handshake only.
const (
	tailText       = ".dev/bin/devstack tail"
	secureKcatText = "kcat -b localhost:$KAFKA_PORT -X security.protocol=SASL_SSL -X ssl.ca.location=$tls/ca.crt -X sasl.mechanism=PLAIN \\\n" +
		"    -X sasl.username=admin -X sasl.password=$(cat $secrets/kafka-admin) -C -t $TOPIC -e   (or: " + tailText + ")"
)

// banner lists the addresses of all parts and commands to try.
func (s Settings) banner(startTime time.Duration) string {
	values := map[string]string{
		"TIME": startTime.Round(100 * time.Millisecond).String(), "ACCOUNT": server.AppUser, "KAFKA": s.Kafka,
		"TOPIC": event.Topic, "DLQ_TOPIC": event.DLQTopic, "DATA": s.data(), "LOGS": s.log(),
	}
	for variable, port := range s.Ports {
		values[variable] = strconv.Itoa(port)
	}
	expand := func(text string) string { return os.Expand(text, func(name string) string { return values[name] }) }
	if s.security == nil {
		return expand(bannerText)
	}
	values["SECRETS"], values["TLS"] = s.security.secrets, filepath.Dir(s.security.files.CA)
	for _, variable := range []string{"tls", "secrets", "user", "token"} {
		values[variable] = "$" + variable // of the shell
	}
	values["TAIL"] = tailText
	if s.Kafka == toolchain.KafkaApache {
		values["TAIL"] = expand(secureKcatText)
	}
	return expand(secureBannerText)
}
