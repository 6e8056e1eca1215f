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
		"AUTH_MODE":            {"On", "true", "1", "yes", " on", `"on"`},
		"WEB_PUBLIC_URL":       {"example.com", "ftp://example.com", "https://", "https://u:p@example.com"},
	}, "HTTP", "OPS", "REDIS", "SESSION", "KAFKA", "LOG", "TRACING"), "REDIS_PASSWORD=kept", "REDIS_KEY_PREFIX={app}")
}
