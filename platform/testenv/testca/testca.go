// Package testca is a certificate authority for tests of TLS: it issues certificates and writes them as PEM files.
package testca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// CA is a certificate authority. File is its certificate.
type CA struct {
	File string

	t           testing.TB
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// New returns a new authority, whose certificate is valid for a year.
func New(t testing.TB) *CA {
	t.Helper()
	ca := &CA{t: t, File: filepath.Join(t.TempDir(), "ca.crt")}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "test CA " + rand.Text()}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotAfter: time.Now().AddDate(1, 0, 0),
	}
	ca.certificate, ca.key = ca.sign(template)
	ca.write(ca.File, "CERTIFICATE", ca.certificate.Raw)
	return ca
}

// Pool returns the authority's certificate.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.certificate)
	return pool
}

// Pair is the PEM files of a certificate and of its private key.
type Pair struct {
	Cert, Key string

	ca *CA
}

// Issue returns new files with a certificate that is valid for a year, for servers and clients. It is for the hosts
// (names and addresses); the first is its common name.
func (ca *CA) Issue(hosts ...string) Pair {
	ca.t.Helper()
	return ca.IssueUntil(time.Now().AddDate(1, 0, 0), hosts...)
}

// IssueUntil is Issue for a certificate that expires at that time.
func (ca *CA) IssueUntil(expiry time.Time, hosts ...string) Pair {
	ca.t.Helper()
	dir := ca.t.TempDir()
	p := Pair{Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), ca: ca}
	p.Renew(expiry, hosts...)
	return p
}

// Renew replaces the files by a new certificate and a new key.
func (p Pair) Renew(expiry time.Time, hosts ...string) {
	p.ca.t.Helper()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: hosts[0]}, NotAfter: expiry, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	certificate, key := p.ca.sign(template)
	text, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		p.ca.t.Fatal(err)
	}
	p.ca.write(p.Cert, "CERTIFICATE", certificate.Raw)
	p.ca.write(p.Key, "PRIVATE KEY", text)
}

// TLS returns the pair for crypto/tls.
func (p Pair) TLS() tls.Certificate {
	p.ca.t.Helper()
	pair, err := tls.LoadX509KeyPair(p.Cert, p.Key)
	if err != nil {
		p.ca.t.Fatal(err)
	}
	return pair
}

// sign returns the certificate of template with a new key. Without a certificate of its own the authority signs its own.
func (ca *CA) sign(template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	ca.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		ca.t.Fatal(err)
	}
	template.SerialNumber = new(big.Int).SetBytes([]byte(rand.Text()[:16]))
	template.NotBefore = time.Now().AddDate(0, -1, 0)
	parent, signer := ca.certificate, ca.key
	if parent == nil {
		parent, signer = template, key
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		ca.t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		ca.t.Fatal(err)
	}
	return certificate, key
}

func (ca *CA) write(path, kind string, content []byte) {
	ca.t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600); err != nil {
		ca.t.Fatal(err)
	}
}
