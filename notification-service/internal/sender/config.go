package sender

import (
	"encoding/base64"
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"example.com/todo/platform/config"
	"example.com/todo/platform/tlsconfig"
)

// WebhookConfig configures the webhook; an empty URL means no webhook.
type WebhookConfig struct {
	URL          string        `config:"url"`
	Secret       config.Secret `config:"secret"`        // whsec_ and the base64 of 24 to 64 bytes
	Timeout      time.Duration `config:"timeout"`       // of one request, from the name lookup to the end of the response
	AllowPrivate bool          `config:"allow_private"` // addresses outside the public internet are permitted too
}

// WebhookDefaults returns the settings without a webhook.
func WebhookDefaults() WebhookConfig { return WebhookConfig{Timeout: 5 * time.Second} }

// The bounds of the timeout of one request. The maximum is a third of a claim's lease,
// and short enough for a rebalance to wait for the request.
const (
	minTimeout = 10 * time.Millisecond
	maxTimeout = 10 * time.Second
)

// The length of a secret in bytes, by the specification Standard Webhooks.
const (
	minSecretBytes = 24
	maxSecretBytes = 64
)

// Validate rejects a URL or a secret with which no request can be sent.
func (c WebhookConfig) Validate() error {
	errs := []error{config.CheckRange("timeout", c.Timeout, minTimeout, maxTimeout)}
	if c.URL == "" {
		return errors.Join(errs...)
	}
	errs = append(errs, c.checkURL())
	text, prefixed := strings.CutPrefix(c.Secret.Reveal(), secretPrefix)
	key, err := base64.StdEncoding.DecodeString(text)
	if !prefixed || err != nil || len(key) < minSecretBytes || len(key) > maxSecretBytes {
		errs = append(errs, config.Invalid("secret",
			"must be %s and the base64 of %d to %d random bytes, because every request is signed; make one with: echo %s$(openssl rand -base64 32)",
			secretPrefix, minSecretBytes, maxSecretBytes, secretPrefix))
	}
	return errors.Join(errs...)
}

// TLSEndpoint describes the connection to the receiver for a tlsconfig.Monitor.
func (c WebhookConfig) TLSEndpoint() tlsconfig.Endpoint {
	u, err := url.Parse(c.URL)
	if c.URL == "" || err != nil || u.Scheme != "http" {
		return tlsconfig.Endpoint{}
	}
	return tlsconfig.PlaintextEndpoint("webhook", "https:// in webhook.url", u.Host)
}

// checkURL rejects a URL with a user or password: requests are authenticated by their
// signature, so these would be printed and never sent.
func (c WebhookConfig) checkURL() error {
	if err := config.CheckURL("url", c.URL, "http", "https"); err != nil {
		return err
	}
	u, _ := url.Parse(c.URL) // CheckURL has parsed it
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !c.AllowPrivate && publicInternet.SafeAddr(ip) != nil {
		return config.Invalid("url", "is not an address of the public internet, which allow_private would have to permit")
	}
	return nil
}
