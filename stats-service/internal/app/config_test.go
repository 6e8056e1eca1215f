package app_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/todo/platform/config"
	"example.com/todo/platform/testenv"
	"example.com/todo/stats-service/internal/app"
)

func TestExampleFileHasEverySettingWithItsDefault(t *testing.T) {
	t.Parallel()
	var empty app.Config
	if err := config.Load(&empty, "../../config.example.yaml", nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(app.Defaults(), empty, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("the example alone, without defaults (-defaults +example):\n%s", diff)
	}
}

func TestLoadNamesAnInvalidSettingAndItsSource(t *testing.T) {
	t.Parallel()
	_, err := app.Load("", []string{"KAFKA_PARTITIONS=six", "LOG_FORMAT=xml", "REDIS_PASSWORD=hunter2", "REDIS_DB=-1"})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"kafka.partitions", `"six"`, "environment KAFKA_PARTITIONS", "log.format", "redis.db"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not contain %s: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error shows a secret: %v", err)
	}
}

func TestLoadRejectsSettingsOfSignInThatContradictOthers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		environ []string
		want    string // "": accepted
	}{
		"every origin":                     {[]string{"AUTH_MODE=on", "HTTP_CORS_ORIGINS=*"}, "http.cors_origins"},
		"every origin, without sign-in":    {[]string{"HTTP_CORS_ORIGINS=*"}, ""},
		"listed origins":                   {[]string{"AUTH_MODE=on", "HTTP_CORS_ORIGINS=https://app.example.com"}, ""},
		"a prefix for another slot":        {[]string{"REDIS_ADDR=a:1,b:2", "REDIS_KEY_PREFIX={a}", "SESSION_KEY_PREFIX=b"}, "session.key_prefix"},
		"a prefix for a slot of a cluster": {[]string{"REDIS_ADDR=a:1,b:2", "REDIS_KEY_PREFIX={a}", "SESSION_KEY_PREFIX={b}"}, ""},
	} {
		_, err := app.Load("", test.environ)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want an error about %q", name, err, test.want)
		}
	}
}

func TestRunFailsWhenRedisIsANodeOfACluster(t *testing.T) {
	t.Parallel()
	cfg, err := app.Load("", []string{"REDIS_ADDR=" + testenv.StartRedis(t, "--cluster-enabled", "yes"), "REDIS_TIMEOUT=5s"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // without an error Run would serve without an end
	defer cancel()
	if err := app.Run(ctx, cfg); err == nil || !strings.HasPrefix(err.Error(), "redis.addr (environment REDIS_ADDR): ") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, want one line about redis.addr", err)
	}
}
