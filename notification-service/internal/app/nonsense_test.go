package app_test

import (
	"testing"

	"example.com/todo/notification-service/internal/app"
	"example.com/todo/platform/config/configtest"
)

func TestEverySettingRefusesNonsense(t *testing.T) {
	t.Parallel()
	const secret = "whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg=="
	configtest.Refuse(t, app.Defaults(), func(environ []string) error {
		_, err := app.Load("", environ)
		return err
	}, map[string][]string{
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

		"WEBHOOK_URL": {
			`"https://hooks.example.com/"`, "https://hooks.example.com/ ", "hooks.example.com", "https:hooks.example.com", "https://", "https:///a", "ftp://hooks.example.com/",
			"https://hooks.example.com:0/", "https://hooks.example.com:65536/", "https://hooks.example.com:/", "https://hooks.example.com:https/", "https://hook s.example.com/",
			`https://"hooks.example.com"/`, "https://hooks..example.com/", "https://me:hunter2@hooks.example.com/", "https://hooks.example.com/#a", "http://127.0.0.1/", "http://127.1/",
		},
		"WEBHOOK_SECRET":        append([]string{"hunter2", "whsec_", "whsec_hunter2", `"` + secret + `"`, secret + "\n"}, configtest.Secrets...),
		"WEBHOOK_TIMEOUT":       append([]string{"0s", "11s"}, configtest.Times...),
		"WEBHOOK_ALLOW_PRIVATE": configtest.Switches,

		"LOG_LEVEL":  {`"INFO"`, "loud", "INFO+1", "ERROR+100", "4", "INFO "},
		"LOG_FORMAT": {`"json"`, "xml", "JSON", "json "},
	}, "REDIS_PASSWORD=kept", "REDIS_KEY_PREFIX={app}", "WEBHOOK_URL=https://hooks.example.com/", "WEBHOOK_SECRET="+secret)
}
