package sender

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
)

// Trust makes the webhook accept certificates of these authorities. Call it before the
// first request.
func (w *Webhook) Trust(authorities *x509.CertPool) {
	w.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: authorities}
}
