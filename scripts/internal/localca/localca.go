// Package localca is a certificate authority for the servers of one machine, in a folder. Only programs of this
// machine trust it: its private key lies in the folder.
package localca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// The validity in years. Browsers accept no server's certificate of more than 825 days.
const (
	authorityYears = 10
	pairYears      = 1
)

// renewBefore is the least validity in days that is left after Ensure.
const renewBefore = 30

// Pair is the PEM files of a certificate and of its private key.
type Pair struct{ Cert, Key string }

// Files are the PEM files of an authority: its certificate, a server's pair for localhost, 127.0.0.1 and ::1, and the
// pair of a client.
type Files struct {
	CA             string
	Server, Client Pair
}

// Ensure returns the files in dir. It makes those that are missing, and replaces those that cannot be used or expire
// within 30 days after now. A new authority replaces all of them.
func Ensure(dir string, now time.Time) (Files, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil { // the keys are files of mode 0600
		return Files{}, err
	}
	pair := func(name string) Pair {
		return Pair{Cert: filepath.Join(dir, name+".crt"), Key: filepath.Join(dir, name+".key")}
	}
	authority, files := pair("ca"), Files{CA: pair("ca").Cert, Server: pair("server"), Client: pair("client")}
	ca, err := ensure(authority, nil, now, &x509.Certificate{
		Subject:  pkix.Name{CommonName: "todo devstack CA"},
		NotAfter: now.AddDate(authorityYears, 0, 0), IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign,
	})
	if err != nil {
		return Files{}, err
	}
	_, err = ensure(files.Server, ca, now, &x509.Certificate{
		Subject:  pkix.Name{CommonName: "localhost"},
		NotAfter: now.AddDate(pairYears, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	})
	if err != nil {
		return Files{}, err
	}
	_, err = ensure(files.Client, ca, now, &x509.Certificate{
		Subject:  pkix.Name{CommonName: "operator"},
		NotAfter: now.AddDate(pairYears, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return files, err
}

// ensure returns the pair, and first makes it from template unless it can be used. Without a ca it signs itself.
func ensure(files Pair, ca *tls.Certificate, now time.Time, template *x509.Certificate) (*tls.Certificate, error) {
	found, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err == nil && isUsable(found.Leaf, ca, now) {
		return &found, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template.NotBefore = now.Add(-time.Hour) // for a clock that is set back
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128)); err != nil {
		return nil, err
	}
	parent, signer := template, any(key)
	if ca != nil {
		parent, signer = ca.Leaf, ca.PrivateKey
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(writePEM(files.Key, "PRIVATE KEY", private), writePEM(files.Cert, "CERTIFICATE", certificate)); err != nil {
		return nil, err
	}
	made, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	return &made, err
}

// isUsable reports whether the certificate stays valid for a while and, unless ca is nil, is signed by ca.
func isUsable(certificate *x509.Certificate, ca *tls.Certificate, now time.Time) bool {
	if ca != nil && certificate.CheckSignatureFrom(ca.Leaf) != nil {
		return false
	}
	return now.After(certificate.NotBefore) && certificate.NotAfter.After(now.AddDate(0, 0, renewBefore))
}
