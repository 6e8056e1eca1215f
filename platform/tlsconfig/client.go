package tlsconfig

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"

	"example.com/todo/platform/config"
)

// ClientFiles are the settings of a client with TLS: PEM files with the CAs that it trusts (those of the system if TLSCA
// is empty) and, for servers that demand one, its certificate and private key.
type ClientFiles struct {
	TLS     bool   `config:"tls"`
	TLSCA   string `config:"tls_ca"`
	TLSCert string `config:"tls_cert"`
	TLSKey  string `config:"tls_key"`
}

func (f ClientFiles) files() fileSet {
	return fileSet{cert: namedFile{"tls_cert", f.TLSCert}, key: namedFile{"tls_key", f.TLSKey}, ca: namedFile{"tls_ca", f.TLSCA}}
}

// Validate rejects files that cannot be used, files without TLS, and a certificate without its key.
func (f ClientFiles) Validate() error {
	if !f.TLS {
		for _, file := range []namedFile{f.files().ca, f.files().cert, f.files().key} {
			if file.path != "" {
				return config.Invalid(file.key, "has no effect without TLS: set tls to true")
			}
		}
		return nil
	}
	return f.files().validate()
}

// Client makes TLS handshakes with the newest files that can be used.
type Client struct {
	settings ClientFiles
	sources  config.Sources
	addrKey  string
	files    reloader
}

// NewClient returns the client of f, or nil without TLS. sources are those of the section, and addrKey is its setting
// with the servers' addresses, for errors. It does not read the files.
func NewClient(f ClientFiles, sources config.Sources, addrKey string) *Client {
	if !f.TLS {
		return nil
	}
	return &Client{settings: f, sources: sources, addrKey: addrKey, files: reloader{files: f.files()}}
}

// Handshake speaks TLS 1.2 or later over conn, whose server must have a certificate for the host of addr. It returns
// an *Error after the handshake failed. If ctx ends, it closes conn.
func (c *Client) Handshake(ctx context.Context, conn net.Conn, addr string) (*tls.Conn, error) {
	m, err := c.files.latest()
	if m == nil {
		return nil, name(err, c.sources)
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host, RootCAs: m.roots}
	if m.certificate != nil {
		// With Certificates, Go would send none if the server names another CA than the issuer of the first.
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return m.certificate, nil }
	}
	secured := tls.Client(conn, cfg)
	err = secured.HandshakeContext(ctx)
	if err == nil {
		return secured, nil
	}
	err = fmt.Errorf("TLS with %s: %w", addr, err)
	if errors.Is(err, context.DeadlineExceeded) {
		// A server without TLS may wait for the end of what it takes for a command.
		return nil, &Error{cause: err, try: "does it speak TLS there? Correct " + c.sources.Name(c.addrKey) + ", or set " + c.sources.Name("tls") + " to false"}
	}
	return nil, c.settings.ExplainTLS(err, c.sources, c.addrKey)
}

// Error is an error about TLS, with the setting to look at.
type Error struct {
	cause error
	try   string
}

// Error returns the cause and what to try.
func (e *Error) Error() string { return e.cause.Error() + ": " + e.try }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// ExplainTLS returns err as an *Error if it is about TLS, with the setting to look at and what to try. Any other error is
// returned unchanged. A server rejects the client's certificate after the handshake, in its first reply.
func (f ClientFiles) ExplainTLS(err error, sources config.Sources, addrKey string) error {
	if errors.As(err, new(*Error)) {
		return err
	}
	var try string
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, new(x509.UnknownAuthorityError)):
		try = "name the CA of the server's certificate in " + sources.Name("tls_ca")
	case errors.As(err, new(x509.HostnameError)):
		try = "connect by a name of the certificate: correct " + sources.Name(addrKey) + ", or replace the server's certificate"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		try = "replace the certificate of the server in " + sources.Name(addrKey) + ", or correct a clock"
	case errors.As(err, new(*tls.CertificateVerificationError)):
		try = "replace the certificate of the server in " + sources.Name(addrKey)
	case errors.As(err, new(tls.RecordHeaderError)):
		try = "the server does not speak TLS there: correct " + sources.Name(addrKey) + ", or set " + sources.Name("tls") + " to false"
	case isAlert(err) && f.TLSCert == "":
		try = "the server may demand a client certificate: set " + sources.Name("tls_cert")
	case isAlert(err):
		try = "the server may reject the client certificate: correct " + sources.Name("tls_cert")
	default:
		return err
	}
	return &Error{cause: err, try: try}
}

// isAlert reports whether the other side has ended the connection with an alert, for which crypto/tls exports no type.
func isAlert(err error) bool {
	var network *net.OpError
	return errors.As(err, &network) && network.Op == "remote error"
}
