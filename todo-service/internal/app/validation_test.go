package app

import (
	"testing"

	"example.com/todo/platform/config/configtest"
)

func TestSecretsAreNeverPrinted(t *testing.T) {
	configtest.ExpectSecretsHidden(t, func(environ []string) (Config, error) { return Load("", environ) }, map[string]string{
		"POSTGRES_DSN":         "postgres://todo:planted@localhost/todo?sslmode=disable",
		"REDIS_PASSWORD":       "planted-state",
		"REDIS_CACHE_PASSWORD": "planted-cache",
		"KAFKA_SASL_PASSWORD":  "planted-kafka",
	}, "KAFKA_SASL_MECHANISM=plain", "KAFKA_SASL_USERNAME=todo-service")
}

func TestLoadRefusesInvalidValuesOfEverySetting(t *testing.T) {
	configtest.ExpectRejected(t, Defaults(), func(environ []string) error {
		_, err := Load("", environ)
		return err
	}, configtest.WithShared(map[string][]string{
		"GRPC_ADDR":                   configtest.ListenAddrs,
		"GRPC_MAX_RECV_BYTES":         append([]string{"0", "1", "100000000"}, configtest.Numbers...),
		"GRPC_MAX_CONCURRENT_STREAMS": append([]string{"0", "2000000"}, configtest.Numbers...),
		"GRPC_KEEPALIVE_TIME":         append([]string{"0s", "1ms", "25h"}, configtest.Durations...),
		"GRPC_KEEPALIVE_TIMEOUT":      append([]string{"0s", "25h"}, configtest.Durations...),
		"GRPC_KEEPALIVE_MIN_TIME":     append([]string{"0s", "25h"}, configtest.Durations...),
		"GRPC_READ_TIMEOUT":           append([]string{"25h"}, configtest.Durations...),
		"GRPC_MAX_CONNS":              append([]string{"0", "2000000"}, configtest.Numbers...),
		"GRPC_MAX_CONN_AGE":           append([]string{"1000h"}, configtest.Durations...),
		"GRPC_REQUEST_TIMEOUT":        append([]string{"25h"}, configtest.Durations...),
		"GRPC_DRAIN_TIMEOUT":          append([]string{"25h"}, configtest.Durations...),

		"POSTGRES_DSN": {
			`"postgres://todo:hunter2@db.example/todo?sslmode=disable"`, "'postgres://todo:hunter2@db.example/todo'", "postgres://todo:hunter2@db.example/todo\r",
			"Postgres://todo:hunter2@db.example/todo?sslmode=disable", "jdbc:postgresql://db.example/todo?password=hunter2", "mysql://todo:hunter2@db.example/todo?a=b",
			"db.example:5432", "todo", "=", "url=postgres://todo:hunter2@db.example/todo", "dbname=todo user=todo password=hunter2", "hots=db.example password=hunter2",
			"postgres:///todo", "postgres://todo:hunter2@/todo", "postgres://todo:hunter2@db.example:0/todo", "postgres://todo:hunter2@db.example:65536/todo", "postgres://todo:hunter2@db.example:pg/todo",
			"postgres://todo:12#hunter2@db.example/todo", "postgres://todo:12?hunter2@db.example/todo", "postgres://todo:12/hunter2@db.example/todo", "postgres://todo:%zz@db.example/todo",
			"postgres://todo:hunter2@db.example/todo?sslmode=disable&sslmode=verify-full", "postgres://todo:hunter2@db.example/todo?sslmode=", "postgres://todo:hunter2@db.example/todo?a=b;sslmode=disable",
			"postgres://todo:hunter2@db.example/todo?sslmode=hunter2", "postgres://todo:hunter2@127.1/todo", "host='db .example' password=hunter2", "host=db.example port=hunter2", "host='db.example",
			"postgres://todo:hunter2@db.example/todo?connect_timeout=2s", "postgres://todo:hunter2@db.example/todo?sslrootcert=/not/there", "host=db.example sslcert=/not/there", "host=db.example sslkey=/not/there",
			"host=db.example passfile=/not/there", "host=db.example service=none", "host=,db.example", "host=db.example hostaddr=db.example", "host=a,b,c port=1,2", "postgres://hunter2@db1.example,db2.example/todo", "postgres://db1:1,db2:2/todo?target_session_attrs=read-write", "host=db.example target_session_attrs=standby",
		},
		"POSTGRES_MAX_CONNS":       append([]string{"0", "3", "100000"}, configtest.Numbers...),
		"POSTGRES_CONNECT_TIMEOUT": append([]string{"0s", "1h"}, configtest.Durations...),

		"RATE_LIMIT_REQUESTS": append([]string{"0"}, configtest.Numbers...),
		"RATE_LIMIT_WINDOW":   append([]string{"0s", "10ms", "25h"}, configtest.Durations...),

		"OUTBOX_PURGE_AFTER": append([]string{"47h", "1000000h"}, configtest.Durations...),

		"WATCH_MAX_WATCHERS":   append([]string{"0", "2000000"}, configtest.Numbers...),
		"WATCH_MAX_PER_CLIENT": append([]string{"0", "2000000"}, configtest.Numbers...),

		"WEB_STATS_URL": {
			`"http://localhost:8081"`, "localhost:8081", "//localhost:8081", "ftp://localhost", "http://", "http://localhost:0", "http://localhost:65536", "http://me:hunter2@localhost:8081",
			"http://localhost:8081/#a", "http://localhost:8081/?days=30", "http://localhost:8081\n", "http://a;script-src", "javascript:alert(1)", "http://127.1:8081", "http://[::1]:8081",
		},

		"TRUSTED_PROXIES":      configtest.Networks,
		"MAX_CONNS_PER_CLIENT": append([]string{"0", "2000000"}, configtest.Numbers...),
		"MAX_IN_FLIGHT":        append([]string{"0", "7", "2000000"}, configtest.Numbers...),
		"DRAIN_WAIT":           append([]string{"2h"}, configtest.Durations...),
	}, "HTTP", "GRPC", "OPS", "REDIS", "REDIS_CACHE", "KAFKA", "LOG", "TRACING"), "REDIS_PASSWORD=kept", "REDIS_KEY_PREFIX={app}", "REDIS_CACHE_PASSWORD=kept")
}
