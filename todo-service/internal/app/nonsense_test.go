package app

import (
	"testing"

	"example.com/todo/platform/config/configtest"
)

func TestEverySettingRefusesNonsense(t *testing.T) {
	configtest.Refuse(t, Defaults(), func(environ []string) error {
		_, err := Load("", environ)
		return err
	}, map[string][]string{
		"HTTP_ADDR":                configtest.ListenAddrs,
		"HTTP_READ_HEADER_TIMEOUT": append([]string{"0s", "25h"}, configtest.Times...),
		"HTTP_READ_TIMEOUT":        append([]string{"25h"}, configtest.Times...),
		"HTTP_IDLE_TIMEOUT":        append([]string{"0s", "25h"}, configtest.Times...),
		"HTTP_MAX_HEADER_BYTES":    append([]string{"0", "1", "100000000"}, configtest.Numbers...),
		"HTTP_REQUEST_TIMEOUT":     append([]string{"25h"}, configtest.Times...),
		"HTTP_DRAIN_TIMEOUT":       append([]string{"25h"}, configtest.Times...),
		"HTTP_MAX_CONNS":           append([]string{"0", "2000000"}, configtest.Numbers...),
		"HTTP_ALLOWED_HOSTS":       configtest.Hosts,
		"HTTP_CORS_ORIGINS": {
			`"https://app.example.com"`, "https://app.example.com\n", "app.example.com", "https://app.example.com/", "https://app.example.com:0", "https://app.example.com:65536", "https://app.example.com:",
			"https://me:hunter2@app.example.com", "https://app..example.com", "https://app.example.com,*", "https://*.example.com", "ftp://app.example.com", "null", "https://127.1",
		},

		"GRPC_ADDR":                   configtest.ListenAddrs,
		"GRPC_MAX_RECV_BYTES":         append([]string{"0", "1", "100000000"}, configtest.Numbers...),
		"GRPC_MAX_CONCURRENT_STREAMS": append([]string{"0", "2000000"}, configtest.Numbers...),
		"GRPC_KEEPALIVE_TIME":         append([]string{"0s", "1ms", "25h"}, configtest.Times...),
		"GRPC_KEEPALIVE_TIMEOUT":      append([]string{"0s", "25h"}, configtest.Times...),
		"GRPC_KEEPALIVE_MIN_TIME":     append([]string{"0s", "25h"}, configtest.Times...),
		"GRPC_READ_TIMEOUT":           append([]string{"25h"}, configtest.Times...),
		"GRPC_MAX_CONNS":              append([]string{"0", "2000000"}, configtest.Numbers...),
		"GRPC_MAX_CONN_AGE":           append([]string{"1000h"}, configtest.Times...),
		"GRPC_REQUEST_TIMEOUT":        append([]string{"25h"}, configtest.Times...),
		"GRPC_DRAIN_TIMEOUT":          append([]string{"25h"}, configtest.Times...),

		"OPS_ADDR":          configtest.ListenAddrs,
		"OPS_PPROF":         configtest.Switches,
		"OPS_MAX_CONNS":     append([]string{"0", "100000"}, configtest.Numbers...),
		"OPS_ALLOWED_HOSTS": configtest.Hosts,

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
		"POSTGRES_CONNECT_TIMEOUT": append([]string{"0s", "1h"}, configtest.Times...),

		"REDIS_ADDR":       append([]string{"a:1,", "a:1,,b:2", "localhost:6379/0", "redis://localhost:6379"}, configtest.ServerAddrs...),
		"REDIS_USERNAME":   configtest.Words,
		"REDIS_PASSWORD":   configtest.Secrets,
		"REDIS_DB":         configtest.Numbers,
		"REDIS_MASTER":     configtest.Words,
		"REDIS_KEY_PREFIX": configtest.Words,
		"REDIS_POOL_SIZE":  append([]string{"0", "100000"}, configtest.Numbers...),
		"REDIS_TIMEOUT":    append([]string{"0s", "1h"}, configtest.Times...),

		"REDIS_CACHE_ADDR":       append([]string{"a:1,", "a:1,,b:2", "localhost:6379/0", "redis://localhost:6379"}, configtest.ServerAddrs...),
		"REDIS_CACHE_USERNAME":   configtest.Words,
		"REDIS_CACHE_PASSWORD":   configtest.Secrets,
		"REDIS_CACHE_DB":         configtest.Numbers,
		"REDIS_CACHE_MASTER":     configtest.Words,
		"REDIS_CACHE_KEY_PREFIX": configtest.Words,
		"REDIS_CACHE_POOL_SIZE":  append([]string{"0", "100000"}, configtest.Numbers...),
		"REDIS_CACHE_TIMEOUT":    append([]string{"0s", "1h"}, configtest.Times...),

		"KAFKA_BROKERS":     append([]string{",", "a:1,b", `["a:1"]`, "SASL_SSL://a:1"}, configtest.ServerAddrs...),
		"KAFKA_CLIENT_ID":   configtest.Words,
		"KAFKA_PARTITIONS":  append([]string{"0", "1000000"}, configtest.Numbers...),
		"KAFKA_INSTANCE_ID": append([]string{".", "..", "reader/0"}, configtest.Words...),

		"RATE_LIMIT_REQUESTS": append([]string{"0"}, configtest.Numbers...),
		"RATE_LIMIT_WINDOW":   append([]string{"0s", "10ms", "25h"}, configtest.Times...),

		"OUTBOX_PURGE_AFTER": append([]string{"47h", "1000000h"}, configtest.Times...),

		"WATCH_MAX_WATCHERS":   append([]string{"0", "2000000"}, configtest.Numbers...),
		"WATCH_MAX_PER_CLIENT": append([]string{"0", "2000000"}, configtest.Numbers...),

		"TRUSTED_PROXIES":      configtest.Networks,
		"MAX_CONNS_PER_CLIENT": append([]string{"0", "2000000"}, configtest.Numbers...),
		"MAX_IN_FLIGHT":        append([]string{"0", "7", "2000000"}, configtest.Numbers...),
		"DRAIN_WAIT":           append([]string{"2h"}, configtest.Times...),

		"LOG_LEVEL":  {`"INFO"`, "loud", "INFO+1", "ERROR+100", "4", "INFO "},
		"LOG_FORMAT": {`"json"`, "xml", "JSON", "json "},

		"TRACING_ENDPOINT": append([]string{
			"http://", "http://collector", "https://collector/", "grpc://collector:4317", "http://collector:4318/v1/traces", "http://collector:4317?a=b",
			"http://me:hunter2@collector:4317", "http://collector:0", "http://collector:65536", `"http://collector:4317"`, "collector:4317/v1/traces",
		}, configtest.ServerAddrs...),
		"TRACING_SAMPLE_RATIO": {`"1"`, "1 ", "-0.1", "1.1", "NaN", "Inf", "half", "10%"},
	}, "REDIS_PASSWORD=kept", "REDIS_KEY_PREFIX={app}", "REDIS_CACHE_PASSWORD=kept")
}
