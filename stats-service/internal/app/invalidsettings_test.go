package app_test

import (
	"testing"

	"example.com/todo/platform/config/configtest"
	"example.com/todo/stats-service/internal/app"
)

func TestSecretsAreNeverPrinted(t *testing.T) {
	t.Parallel()
	configtest.ExpectSecretsHidden(t, func(environ []string) (app.Config, error) { return app.Load("", environ) }, map[string]string{
		"REDIS_PASSWORD":      "planted-redis",
		"KAFKA_SASL_PASSWORD": "planted-kafka",
	}, "KAFKA_SASL_MECHANISM=plain", "KAFKA_SASL_USERNAME=stats-service")
}

func TestEverySettingRejectsInvalidValues(t *testing.T) {
	t.Parallel()
	configtest.ExpectRejected(t, app.Defaults(), func(environ []string) error {
		_, err := app.Load("", environ)
		return err
	}, configtest.WithShared(map[string][]string{
		"TRUSTED_PROXIES":      configtest.Networks,
		"MAX_CONNS_PER_CLIENT": append([]string{"0", "2000000"}, configtest.Numbers...),
		"DRAIN_WAIT":           append([]string{"2h"}, configtest.Durations...),
	}, "HTTP", "OPS", "REDIS", "KAFKA", "LOG", "TRACING"), "REDIS_PASSWORD=kept", "REDIS_KEY_PREFIX={app}")
}
