package session_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/config"
	"example.com/todo/platform/config/configtest"
	"example.com/todo/platform/session"
)

type settings struct {
	Session session.Config `config:"session"`
}

func load(environ ...string) (settings, error) {
	cfg := settings{session.Defaults()}
	err := config.Load(&cfg, "", environ)
	return cfg, err
}

func TestSettingsHaveTheirDocumentedNamesAndDefaults(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		environ []string
		want    session.Config
	}{
		"defaults": {nil, session.Config{Idle: 24 * time.Hour, MaxAge: 720 * time.Hour}},
		"all":      {[]string{"SESSION_IDLE=1h", "SESSION_MAX_AGE=30m", "SESSION_KEY_PREFIX={app}:"}, session.Config{Idle: time.Hour, MaxAge: 30 * time.Minute, KeyPrefix: "{app}:"}},
	} {
		got, err := load(test.environ...)
		if diff := cmp.Diff(test.want, got.Session); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestSettingsRejectInvalidValues(t *testing.T) {
	t.Parallel()
	configtest.ExpectRejected(t, settings{session.Defaults()}, func(environ []string) error {
		_, err := load(environ...)
		return err
	}, configtest.WithShared(map[string][]string{}, "SESSION"))
}
