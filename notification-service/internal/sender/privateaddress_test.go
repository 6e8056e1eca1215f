package sender_test

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/notification-service/internal/notify"
	"example.com/todo/notification-service/internal/sender"
)

// All names and addresses are of this machine or of private networks.
func TestWebhookDialsOnlyThePublicInternet(t *testing.T) {
	t.Parallel()
	r := startReceiver(t, respond(http.StatusOK))
	u, err := url.Parse(r.URL)
	if err != nil {
		t.Fatal(err)
	}
	hosts := map[string]string{
		"loopback":              "127.0.0.1",
		"a name for loopback":   "localhost",
		"loopback, in decimals": "2130706433",
		"IPv6 loopback":         "[::1]",
		"IPv4-mapped":           "[::ffff:127.0.0.1]",
		"NAT64":                 "[64:ff9b::7f00:1]",
		"unspecified":           "0.0.0.0",
		"private":               "10.1.2.3",
		"also private":          "192.168.1.1",
		"unique local":          "[fd00::1]",
		"CGNAT":                 "100.64.0.1",
		"the cloud's metadata":  "169.254.169.254",
		"link-local":            "[fe80::1]",
		"multicast":             "224.0.0.1",
		"IPv6 multicast":        "[ff02::1]",
		"broadcast":             "255.255.255.255",
	}
	for name, host := range hosts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := settings("http://" + host + ":" + u.Port())
			cfg.Timeout, cfg.AllowPrivate = 2*time.Second, false
			webhook, err := sender.NewWebhook(cfg, prometheus.NewRegistry()) // without WebhookConfig.Validate
			if err != nil {
				t.Fatal(err)
			}
			if err := webhook.Send(t.Context(), learnGo); err == nil || errors.Is(err, notify.ErrRejected) {
				t.Errorf("got %v, want a retryable error", err)
			} else if host != "2130706433" && !strings.Contains(err.Error(), "not an address of the public internet") {
				t.Errorf("the error has no reason: %v", err)
			}
		})
	}
	t.Cleanup(func() {
		if got := r.requests(); len(got) != 0 {
			t.Errorf("the receiver got %d requests", len(got))
		}
	})
}

func TestWebhookRejectsANameOfAPrivateAddressAtTheLookup(t *testing.T) {
	t.Parallel()
	if _, err := net.LookupHost("localhost"); err != nil {
		t.Skip("localhost has no address here")
	}
	r := startReceiver(t, respond(http.StatusOK))
	there := strings.Replace(r.URL, "127.0.0.1", "localhost", 1)
	cfg := settings(there)
	cfg.AllowPrivate = false
	if err := cfg.Validate(); err != nil {
		t.Fatalf("Validate rejects a name: %v", err)
	}
	strict, _ := openWebhook(t, cfg)
	err := strict.Send(t.Context(), learnGo)
	if err == nil || !strings.Contains(err.Error(), "WEBHOOK_ALLOW_PRIVATE") {
		t.Errorf("got %v, want an error about WEBHOOK_ALLOW_PRIVATE", err)
	}
	allowed, _ := openWebhook(t, settings(there))
	if err := allowed.Send(t.Context(), learnGo); err != nil {
		t.Errorf("allowed: %v", err)
	}
	if got := r.requests(); len(got) != 1 {
		t.Errorf("the receiver got %d requests, want 1", len(got))
	}
}

// A proxy would look up the name itself, and may have a private address.
func TestWebhookIgnoresProxySettings(t *testing.T) {
	proxy := startReceiver(t, respond(http.StatusOK))
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	cfg := settings("http://webhook.invalid/")
	webhook, _ := openWebhook(t, cfg)
	if err := webhook.Send(t.Context(), learnGo); err == nil {
		t.Error("no error for a name that does not exist")
	}
	if got := proxy.requests(); len(got) != 0 {
		t.Errorf("the proxy got %d requests", len(got))
	}
}
