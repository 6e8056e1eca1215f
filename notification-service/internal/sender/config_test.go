package sender_test

import (
	"strings"
	"testing"
	"time"

	"example.com/todo/notification-service/internal/sender"
	"example.com/todo/platform/config"
)

func TestWebhookConfigRejectsInvalidSettings(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*sender.WebhookConfig)
		key    string // of the invalid setting; "" for none
	}{
		"none at all":                {func(c *sender.WebhookConfig) { *c = sender.WebhookDefaults() }, ""},
		"https":                      {func(c *sender.WebhookConfig) { c.URL = "https://hooks.example.com:8443/a?b=c" }, ""},
		"no secret":                  {func(c *sender.WebhookConfig) { c.Secret = "" }, "secret"},
		"a secret without prefix":    {func(c *sender.WebhookConfig) { c.Secret = secret[len("whsec_"):] }, "secret"},
		"a secret not base64":        {func(c *sender.WebhookConfig) { c.Secret = "whsec_hunter2" }, "secret"},
		"an empty secret":            {func(c *sender.WebhookConfig) { c.Secret = "whsec_" }, "secret"},
		"a short secret":             {func(c *sender.WebhookConfig) { c.Secret = "whsec_aHVudGVyMg==" }, "secret"},
		"no time":                    {func(c *sender.WebhookConfig) { c.Timeout = 0 }, "timeout"},
		"as long as the lease":       {func(c *sender.WebhookConfig) { c.Timeout = 30 * time.Second }, "timeout"},
		"no scheme":                  {func(c *sender.WebhookConfig) { c.URL = "hooks.example.com/a" }, "url"},
		"another scheme":             {func(c *sender.WebhookConfig) { c.URL = "file:///etc/passwd" }, "url"},
		"no host":                    {func(c *sender.WebhookConfig) { c.URL = "https:///a" }, "url"},
		"not a URL":                  {func(c *sender.WebhookConfig) { c.URL = "https://hooks.example.com/\x7f" }, "url"},
		"a password":                 {func(c *sender.WebhookConfig) { c.URL = "https://me:hunter2@hooks.example.com/" }, "url"},
		"a user":                     {func(c *sender.WebhookConfig) { c.URL = "https://hunter2@hooks.example.com/" }, "url"},
		"a fragment":                 {func(c *sender.WebhookConfig) { c.URL = "https://hooks.example.com/#a" }, "url"},
		"loopback":                   {func(c *sender.WebhookConfig) { c.URL = "http://127.0.0.1:8080/" }, "url"},
		"IPv6 loopback":              {func(c *sender.WebhookConfig) { c.URL = "http://[::1]:8080/" }, "url"},
		"loopback, and allowed":      {func(c *sender.WebhookConfig) { c.URL, c.AllowPrivate = "http://127.0.0.1:8080/", true }, ""},
		"a public address":           {func(c *sender.WebhookConfig) { c.URL = "http://93.184.215.14/" }, ""},
		"a name that does not exist": {func(c *sender.WebhookConfig) { c.URL = "http://webhook.invalid/" }, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := sender.WebhookConfig{URL: "https://hooks.example.com/", Secret: secret, Timeout: 5 * time.Second}
			test.change(&cfg)
			whole := struct {
				Webhook sender.WebhookConfig `config:"webhook"`
			}{cfg}
			err := config.Load(&whole, "", nil)
			switch {
			case test.key == "" && err != nil:
				t.Errorf("rejected: %v", err)
			case test.key != "" && (err == nil || !strings.HasPrefix(err.Error(), "webhook."+test.key+": ") || strings.Contains(err.Error(), "\n")):
				t.Errorf("got %v, want one complaint about webhook.%s", err, test.key)
			case err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "MfKQ")):
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}
