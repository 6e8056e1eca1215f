package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// tlsFlags are the flags about TLS. They hold for gRPC, and for HTTP if its URL begins with
// https.
type tlsFlags struct {
	on             bool
	ca, cert, key  string // PEM files
	allowPlaintext bool
}

func (f *tlsFlags) register(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.BoolVar(&f.on, "tls", false, "connect with TLS")
	flags.StringVar(&f.ca, "ca", "", "trust the CAs in this PEM `file` instead of those of the system; implies --tls")
	flags.StringVar(&f.cert, "cert", "", "show the server the client certificate in this PEM `file`; implies --tls")
	flags.StringVar(&f.key, "key", "", "private key of --cert, a PEM `file`")
	flags.BoolVar(&f.allowPlaintext, "allow-plaintext", false, "send passwords and tokens without TLS to other machines, too")
}

func (f *tlsFlags) enabled() bool { return f.on || f.ca != "" || f.cert != "" || f.key != "" }

// config returns the TLS configuration of a client.
func (f *tlsFlags) config() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.ca != "" {
		pem, err := os.ReadFile(f.ca)
		if err != nil {
			return nil, fmt.Errorf("--ca: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--ca: %s has no certificate in PEM", f.ca)
		}
	}
	switch {
	case (f.cert == "") != (f.key == ""):
		return nil, errors.New("--cert and --key need each other")
	case f.cert != "":
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return nil, fmt.Errorf("--cert and --key: %w", err)
		}
		// With Certificates, Go would send none if the server names another CA than the issuer of the first.
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return cfg, nil
}

// checkSecret returns an error if a secret must not be sent to the host.
func (f *tlsFlags) checkSecret(host string, secure bool) error {
	if secure || f.allowPlaintext || isLoopback(host) {
		return nil
	}
	return fmt.Errorf("%s is another machine, and without TLS everyone on the way can read passwords and tokens: use TLS, or --allow-plaintext", host)
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// bearer is a token as credentials of each call.
type bearer struct {
	token  string
	secure bool
}

// GetRequestMetadata returns the token.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + b.token}, nil
}

// RequireTransportSecurity makes grpc-go refuse a connection without TLS.
func (b bearer) RequireTransportSecurity() bool { return b.secure }

// connect returns a connection to the service that sends the token of the user's session,
// if there is one. It is opened by the first call.
func (c *cli) connect() (*grpc.ClientConn, error) {
	var options []grpc.DialOption
	if c.tls.enabled() {
		cfg, err := c.tls.config()
		if err != nil {
			return nil, usageError{err}
		}
		options = append(options, grpc.WithTransportCredentials(credentials.NewTLS(cfg)))
	}
	s, err := c.session()
	if err != nil {
		return nil, err
	}
	if s.Token != "" {
		host, _, _ := net.SplitHostPort(c.addr) // the flag is valid
		if err := c.tls.checkSecret(host, c.tls.enabled()); err != nil {
			return nil, usageError{err}
		}
		options = append(options, grpc.WithPerRPCCredentials(bearer{s.Token, c.tls.enabled()}))
	}
	conn, err := dial(c.addr, options...)
	if err != nil {
		return nil, usageError{err}
	}
	return conn, nil
}

// dial returns a connection to the service that is opened by the first call. It has no TLS
// unless an option says so.
func dial(addr string, more ...grpc.DialOption) (*grpc.ClientConn, error) {
	return grpc.NewClient(addr, append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		// grpc-go sends no pings by default, so a watch would wait for ever on a dead
		// connection. todo-service disconnects clients that ping more often than every 10 s.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
	}, more...)...)
}
