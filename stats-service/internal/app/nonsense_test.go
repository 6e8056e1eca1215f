package app_test

import (
	"testing"

	"example.com/todo/platform/config/configtest"
	"example.com/todo/stats-service/internal/app"
)

func TestEverySettingRefusesNonsense(t *testing.T) {
	t.Parallel()
	configtest.Refuse(t, app.Defaults(), func(environ []string) error {
		_, err := app.Load("", environ)
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

		"OPS_ADDR":          configtest.ListenAddrs,
		"OPS_PPROF":         configtest.Switches,
		"OPS_MAX_CONNS":     append([]string{"0", "100000"}, configtest.Numbers...),
		"OPS_ALLOWED_HOSTS": configtest.Hosts,

		"REDIS_ADDR":       append([]string{"a:1,", "a:1,,b:2", "localhost:6379/0", "redis://localhost:6379"}, configtest.ServerAddrs...),
		"REDIS_USERNAME":   configtest.Words,
		"REDIS_PASSWORD":   configtest.Secrets,
		"REDIS_DB":         configtest.Numbers,
		"REDIS_MASTER":     configtest.Words,
		"REDIS_KEY_PREFIX": configtest.Words,
		"REDIS_POOL_SIZE":  append([]string{"0", "100000"}, configtest.Numbers...),
		"REDIS_TIMEOUT":    append([]string{"0s", "1h"}, configtest.Times...),

		"KAFKA_BROKERS":     append([]string{",", "a:1,b", `["a:1"]`, "SASL_SSL://a:1"}, configtest.ServerAddrs...),
		"KAFKA_CLIENT_ID":   configtest.Words,
		"KAFKA_PARTITIONS":  append([]string{"0", "1000000"}, configtest.Numbers...),
		"KAFKA_INSTANCE_ID": append([]string{".", "..", "reader/0"}, configtest.Words...),

		"TRUSTED_PROXIES":      configtest.Networks,
		"MAX_CONNS_PER_CLIENT": append([]string{"0", "2000000"}, configtest.Numbers...),
		"DRAIN_WAIT":           append([]string{"2h"}, configtest.Times...),

		"LOG_LEVEL":  {`"INFO"`, "loud", "INFO+1", "ERROR+100", "4", "INFO "},
		"LOG_FORMAT": {`"json"`, "xml", "JSON", "json "},

		"TRACING_ENDPOINT": append([]string{
			"http://", "http://collector", "https://collector/", "grpc://collector:4317", "http://collector:4318/v1/traces", "http://collector:4317?a=b",
			"http://me:hunter2@collector:4317", "http://collector:0", "http://collector:65536", `"http://collector:4317"`, "collector:4317/v1/traces",
		}, configtest.ServerAddrs...),
		"TRACING_SAMPLE_RATIO": {`"1"`, "1 ", "-0.1", "1.1", "NaN", "Inf", "half", "10%"},
	}, "REDIS_PASSWORD=kept", "REDIS_KEY_PREFIX={app}")
}
