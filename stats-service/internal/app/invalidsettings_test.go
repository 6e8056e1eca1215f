package app_test

import (
	"testing"

	"example.com/todo/platform/config/configtest"
	"example.com/todo/stats-service/internal/app"
)

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
