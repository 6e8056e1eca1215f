package localca

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
)

// Pool returns the certificates of a PEM file.
func Pool(path string) (*x509.CertPool, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("%s has no certificate in PEM", path)
	}
	return pool, nil
}

// writePEM replaces the file at once. Only its owner can read it.
func writePEM(path, kind string, content []byte) error {
	unfinished := path + ".new"
	if err := os.WriteFile(unfinished, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600); err != nil {
		return err
	}
	return os.Rename(unfinished, path)
}
