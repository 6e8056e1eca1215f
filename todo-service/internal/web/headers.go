package web

import (
	"net/http"
	"net/url"
	"strings"
)

// assetPolicy is the Content-Security-Policy of assets. It rules workers, and an asset
// that is opened as a document.
const assetPolicy = "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; " +
	"frame-ancestors 'none'; require-trusted-types-for 'script'"

// contentSecurityPolicy returns the policy of documents: they use this server alone, except
// for requests to stats-service.
func contentSecurityPolicy(statsURL string) string {
	connect := "connect-src 'self'"
	if u, err := url.Parse(statsURL); err == nil && statsURL != "" {
		connect += " " + u.Scheme + "://" + u.Host
	}
	return strings.Join([]string{
		"default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", connect,
		"manifest-src 'self'", "worker-src 'self'", "form-action 'self'", "base-uri 'none'",
		"frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types todo",
	}, "; ")
}

// permissionsPolicy switches off the features for which a page could ask its reader.
const permissionsPolicy = "accelerometer=(), browsing-topics=(), camera=(), display-capture=(), geolocation=(), " +
	"gyroscope=(), hid=(), idle-detection=(), local-fonts=(), magnetometer=(), microphone=(), midi=(), payment=(), " +
	"publickey-credentials-get=(), screen-wake-lock=(), serial=(), storage-access=(), usb=(), window-management=(), xr-spatial-tracking=()"

// setDocumentHeaders sets the headers of every document.
func (p *page) setDocumentHeaders(header http.Header) {
	// With no-referrer, a browser that does not send Sec-Fetch-Site sends "Origin: null" with
	// the page's own forms, which are then refused.
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "private, no-store")
	header.Set("Content-Security-Policy", p.policy)
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Permissions-Policy", permissionsPolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
}
