package sender

import (
	"encoding/base64"
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"example.com/todo/platform/config"
)

// How long one request may take. The most is a third of the lease under which a
// notification is claimed, and leaves a rebalance the time to wait for it.
const (
	minTimeout = 10 * time.Millisecond
	maxTimeout = 10 * time.Second
)

// A secret is so many bytes long: Standard Webhooks says so.
const (
	minSecretBytes = 24
	maxSecretBytes = 64
)

// WebhookConfig says where notifications are posted; nowhere when URL is empty.
type WebhookConfig struct {
	URL          string        `config:"url"`
	Secret       config.Secret `config:"secret"`        // whsec_ and the base64 of 24 to 64 bytes
	Timeout      time.Duration `config:"timeout"`       // of one request, from the look-up of the name to the answer's end
	AllowPrivate bool          `config:"allow_private"` // also to addresses that are not of the public internet
}

// WebhookDefaults returns the settings of no webhook.
func WebhookDefaults() WebhookConfig { return WebhookConfig{Timeout: 5 * time.Second} }

// Validate refuses an address or a secret that no request could be made with.
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

// checkURL refuses an address that no request is sent to. Requests are signed with the
// secret: a user or password in the address would be shown and not sent.
func (c WebhookConfig) checkURL() error {
	const key = "url"
	if err := config.CheckURL(key, c.URL, "http", "https"); err != nil {
		return err
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return err
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !c.AllowPrivate && publicInternet.SafeAddr(ip) != nil {
		return config.Invalid(key, "is not an address of the public internet, which allow_private would have to permit")
	}
	return nil
}
