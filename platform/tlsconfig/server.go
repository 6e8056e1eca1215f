// Package tlsconfig makes the TLS configurations of listeners and clients from PEM files, which it reads again when
// they change. It reports certificates that expire, files that cannot be used, and connections without TLS.
//
//	files ─> reloader ─> every handshake uses the newest files that can be used
//	files ─> Monitor  ─> metrics and warnings
package tlsconfig

import (
	"bytes"
	"crypto/tls"
	"errors"
	"sync"

	"example.com/todo/platform/config"
	"example.com/todo/platform/internal/smallfile"
)

// ServerFiles are the settings of a listener with TLS: PEM files with its certificate (and intermediate ones), its
// private key, and the CAs of the client certificates that it demands. Without TLSCert the listener has no TLS.
type ServerFiles struct {
	TLSCert     string `config:"tls_cert"`
	TLSKey      string `config:"tls_key"`
	TLSClientCA string `config:"tls_client_ca"`
}

func (f ServerFiles) files() fileSet {
	return fileSet{cert: namedFile{"tls_cert", f.TLSCert}, key: namedFile{"tls_key", f.TLSKey}, ca: namedFile{"tls_client_ca", f.TLSClientCA}}
}

// Validate rejects files that cannot be used, and incomplete settings.
func (f ServerFiles) Validate() error {
	if f.TLSClientCA != "" && f.TLSCert == "" {
		return config.Invalid("tls_client_ca", "demands client certificates, for which the listener needs TLS: set tls_cert and tls_key")
	}
	return f.files().validate()
}

// ListenerConfig returns the configuration of a listener that offers the protocols by ALPN, or nil without TLSCert. It speaks
// TLS 1.2 and later. clients says which client certificates the listener demands if TLSClientCA is set. Each
// handshake uses the newest files that can be used. sources are those of the section, for errors.
func (f ServerFiles) ListenerConfig(sources config.Sources, clients tls.ClientAuthType, protocols ...string) (*tls.Config, error) {
	if f.TLSCert == "" {
		return nil, nil
	}
	s := &server{files: reloader{files: f.files()}, clients: clients, protocols: protocols}
	if _, err := s.files.latest(); err != nil {
		return nil, name(err, sources)
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		NextProtos:         protocols,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.config(), nil },
	}, nil
}

// server has the configuration of the newest files.
type server struct {
	files     reloader
	clients   tls.ClientAuthType
	protocols []string

	mu     sync.Mutex
	made   *tls.Config
	madeOf *material
}

func (s *server) config() *tls.Config {
	m, _ := s.files.latest() // the Monitor reports the error
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.madeOf != m {
		s.made, s.madeOf = s.newConfig(m), m
	}
	return s.made
}

func (s *server) newConfig(m *material) *tls.Config {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: s.protocols, Certificates: []tls.Certificate{*m.certificate}}
	if m.roots != nil {
		cfg.ClientAuth, cfg.ClientCAs = s.clients, m.roots
		// A resumed session would skip the check of the client's certificate against a new CA file.
		cfg.SessionTicketsDisabled = true
	}
	return cfg
}

// PinnedClient returns the configuration of a client that accepts exactly the certificate in TLSCert, also if that has
// expired or is for another name. It reads no other file. The error of another certificate is an *Error: for a second
// after the files have changed, the server may still have the certificate of before.
func (f ServerFiles) PinnedClient(sources config.Sources) (*tls.Config, error) {
	file := f.files().cert
	content, err := smallfile.Read(file.path, maxFileBytes)
	if err != nil {
		return nil, name(&fileError{file.key, err.Error()}, sources)
	}
	chain, err := parseCertificates(content)
	if err != nil {
		return nil, name(&fileError{file.key, err.Error()}, sources)
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection compares the certificate itself
		VerifyConnection: func(state tls.ConnectionState) error {
			if !bytes.Equal(state.PeerCertificates[0].Raw, chain[0].Raw) {
				return &Error{
					cause: errors.New("the server has another certificate than the one in " + sources.Name(file.key)),
					try:   "does it read the same file, and did its private key change, too?",
				}
			}
			return nil
		},
	}, nil
}

// HasClientCertificate reports whether the client of a connection has proved a certificate of a trusted CA.
func HasClientCertificate(state *tls.ConnectionState) bool {
	return state != nil && len(state.VerifiedChains) > 0
}
