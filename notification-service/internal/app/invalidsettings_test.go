package app_test

import (
	"testing"

	"example.com/todo/notification-service/internal/app"
	"example.com/todo/platform/config/configtest"
)

func TestSecretsAreNeverPrinted(t *testing.T) {
	t.Parallel()
	configtest.ExpectSecretsHidden(t, func(environ []string) (app.Config, error) { return app.Load("", environ) }, map[string]string{
		"REDIS_PASSWORD":      "planted-redis",
		"KAFKA_SASL_PASSWORD": "planted-kafka",
		"WEBHOOK_SECRET":      "whsec_plantedplantedplantedplantedplanted7",
	}, "KAFKA_SASL_MECHANISM=plain", "KAFKA_SASL_USERNAME=notification-service", "WEBHOOK_URL=https://hooks.example.com/")
}

func TestEverySettingRejectsInvalidValues(t *testing.T) {
	t.Parallel()
	const secret = "whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg=="
	configtest.ExpectRejected(t, app.Defaults(), func(environ []string) error {
		_, err := app.Load("", environ)
		return err
	}, configtest.WithShared(map[string][]string{
		"WEBHOOK_URL": {
			`"https://hooks.example.com/"`, "https://hooks.example.com/ ", "hooks.example.com", "https:hooks.example.com", "https://", "https:///a", "ftp://hooks.example.com/",
			"https://hooks.example.com:0/", "https://hooks.example.com:65536/", "https://hooks.example.com:/", "https://hooks.example.com:https/", "https://hook s.example.com/",
			`https://"hooks.example.com"/`, "https://hooks..example.com/", "https://me:hunter2@hooks.example.com/", "https://hooks.example.com/#a", "http://127.0.0.1/", "http://127.1/",
		},
		"WEBHOOK_SECRET":        append([]string{"hunter2", "whsec_", "whsec_hunter2", `"` + secret + `"`, secret + "\n"}, configtest.Secrets...),
		"WEBHOOK_TIMEOUT":       append([]string{"0s", "11s"}, configtest.Durations...),
		"WEBHOOK_ALLOW_PRIVATE": configtest.Booleans,
	}, "OPS", "REDIS", "KAFKA", "LOG"), "REDIS_PASSWORD=kept", "REDIS_KEY_PREFIX={app}", "WEBHOOK_URL=https://hooks.example.com/", "WEBHOOK_SECRET="+secret)
}
