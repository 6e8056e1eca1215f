package app_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/todo/notification-service/internal/app"
	"example.com/todo/platform/config"
	"example.com/todo/platform/testenv"
)

func TestExampleFileHasEverySettingWithItsDefault(t *testing.T) {
	t.Parallel()
	var empty app.Config
	if err := config.Load(&empty, "../../config.example.yaml", nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(app.Defaults(), empty, cmpopts.EquateEmpty()); diff != "" {
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

func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
	cfg, err := app.Load("", []string{
		"WEBHOOK_URL=https://hooks.example.com/todo", "WEBHOOK_SECRET=" + secret, "WEBHOOK_TIMEOUT=3s", "REDIS_PASSWORD=hunter2",
	})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Webhook.Secret.Reveal() != secret || cfg.Webhook.Timeout != 3*time.Second {
		t.Errorf("the settings are not those of the environment: %+v", cfg.Webhook)
	}
	var out strings.Builder
	if err := config.Print(&out, cfg); err != nil {
		t.Fatal(err)
	}
	for _, hidden := range []string{"MfKQ", "hunter2"} {
		if strings.Contains(out.String(), hidden) {
			t.Errorf("config print shows %s:\n%s", hidden, &out)
		}
	}
	for _, shown := range []string{"https://hooks.example.com/todo", "WEBHOOK_SECRET", "[secret]"} {
		if !strings.Contains(out.String(), shown) {
			t.Errorf("config print does not show %s:\n%s", shown, &out)
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
