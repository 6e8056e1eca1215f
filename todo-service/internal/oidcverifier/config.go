package oidcverifier

import (
	"errors"
	"net/url"
	"strings"

	"example.com/todo/platform/config"
)

// Config holds the settings of an issuer. Without an issuer no token is valid.
type Config struct {
	Issuer   string `config:"issuer"`   // its URL, as in the claim iss
	Audience string `config:"audience"` // the token must have it in the claim aud
}

const maxAudience = 255 // bytes

// Validate returns an error for an issuer whose keys could be changed on the way, and for
// one setting without the other.
func (c Config) Validate() error {
	if c.Issuer == "" && c.Audience == "" {
		return nil
	}
	var errs []error
	if c.Issuer != "" {
		errs = append(errs, c.checkIssuer())
	} else {
		errs = append(errs, config.Invalid("audience", "needs an issuer"))
	}
	switch {
	case c.Audience == "":
		errs = append(errs, config.Invalid("issuer", "needs an audience: without one the service would take the issuer's tokens for other services"))
	case len(c.Audience) > maxAudience || strings.TrimSpace(c.Audience) != c.Audience:
		errs = append(errs, config.Invalid("audience", "must have at most %d bytes, without white space around them", maxAudience))
	}
	return errors.Join(errs...)
}

func (c Config) checkIssuer() error {
	if err := config.CheckURL("issuer", c.Issuer, "http", "https"); err != nil {
		return err
	}
	u, err := url.Parse(c.Issuer)
	if err != nil || !isSecure(u) {
		return config.Invalid("issuer", "must begin with https://, unless it is on this machine: its keys must not be changed on the way")
	}
	if u.RawQuery != "" || strings.HasSuffix(c.Issuer, "?") {
		return config.Invalid("issuer", "must not have a query")
	}
	return nil
}
