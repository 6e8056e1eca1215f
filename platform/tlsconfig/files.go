package tlsconfig

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"example.com/todo/platform/config"
	"example.com/todo/platform/internal/smallfile"
)

// maxFileBytes bounds a PEM file. A bundle of all public CAs has about 250 kB.
const maxFileBytes = 1 << 20

// namedFile is a PEM file and the key of the setting that names it; path is "" if it is not set.
type namedFile struct{ key, path string }

// fileSet is the files of a listener or of a client.
type fileSet struct{ cert, key, ca namedFile }

// fileError is a problem with the file that a setting names.
type fileError struct{ key, problem string }

func (e *fileError) Error() string { return e.key + ": " + e.problem }

// name returns err with the full name of its setting and its source.
func name(err error, sources config.Sources) error {
	var problem *fileError
	if !errors.As(err, &problem) {
		return err
	}
	return fmt.Errorf("%s: %s", sources.Name(problem.key), problem.problem)
}

// validate returns an error of config.Invalid about the first setting that cannot be used.
func (s fileSet) validate() error {
	_, err := s.load()
	var problem *fileError
	if errors.As(err, &problem) {
		return config.Invalid(problem.key, "%s", problem.problem)
	}
	return err
}

// material is the parsed content of a fileSet.
type material struct {
	content     [3][]byte
	certificate *tls.Certificate // nil without a certificate
	chain       []*x509.Certificate
	roots       *x509.CertPool // nil without a CA
	rootList    []*x509.Certificate
}

// load reads and parses the files. Its error is a *fileError.
func (s fileSet) load() (*material, error) {
	content, err := s.read()
	if err != nil {
		return nil, err
	}
	return s.parse(content)
}

func (s fileSet) read() (content [3][]byte, err error) {
	switch {
	case s.cert.path == "" && s.key.path != "":
		return content, &fileError{s.key.key, "is a private key without its certificate: set " + s.cert.key}
	case s.cert.path != "" && s.key.path == "":
		return content, &fileError{s.cert.key, "is a certificate without its private key: set " + s.key.key}
	}
	for i, file := range []namedFile{s.cert, s.key, s.ca} {
		if file.path == "" {
			continue
		}
		if content[i], err = smallfile.Read(file.path, maxFileBytes); err != nil {
			return content, &fileError{file.key, err.Error()}
		}
	}
	return content, nil
}

func (s fileSet) parse(content [3][]byte) (*material, error) {
	m := &material{content: content}
	var err error
	if s.cert.path != "" {
		if m.chain, err = parseCertificates(content[0]); err != nil {
			return nil, &fileError{s.cert.key, err.Error()}
		}
		pair, err := tls.X509KeyPair(content[0], content[1])
		switch {
		case err != nil && strings.Contains(err.Error(), "does not match"):
			return nil, &fileError{s.key.key, "names the private key of another certificate than " + s.cert.key}
		case err != nil:
			return nil, &fileError{s.key.key, "names a file without a private key that can be used: it must be PEM, and not encrypted"}
		}
		m.certificate = &pair
	}
	if s.ca.path != "" {
		if m.rootList, err = parseCertificates(content[2]); err != nil {
			return nil, &fileError{s.ca.key, err.Error()}
		}
		m.roots = x509.NewCertPool()
		for _, root := range m.rootList {
			m.roots.AddCert(root)
		}
	}
	return m, nil
}

// parseCertificates returns the certificates of a PEM file, at least one.
func parseCertificates(content []byte) (all []*x509.Certificate, err error) {
	for rest := content; ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		switch {
		case block == nil && len(all) == 0:
			return nil, errors.New("names a file without a certificate: it must be PEM, with -----BEGIN CERTIFICATE-----")
		case block == nil && bytes.Contains(rest, []byte("-----BEGIN ")):
			return nil, errors.New("names a file whose last certificate is cut off: it may be being written")
		case block == nil:
			return all, nil
		case block.Type != "CERTIFICATE":
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("names a file with a damaged certificate: %w", err)
		}
		all = append(all, certificate)
	}
}

// recheckInterval is the minimal time between two looks at the files of a listener or client. Reading and comparing
// them takes some 0.1 ms.
const recheckInterval = time.Second

// reloader keeps the material of a fileSet and reads the files again when they have changed.
type reloader struct {
	files fileSet

	mu      sync.Mutex
	checked time.Time
	current *material // nil until the files could be used once
	err     error     // of the last attempt
}

// latest returns the newest material that can be used, or nil if there was none yet. err says why the present files
// cannot be used.
func (r *reloader) latest() (m *material, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); r.checked.IsZero() || now.Sub(r.checked) >= recheckInterval {
		r.checked = now
		r.err = r.reload()
	}
	return r.current, r.err
}

func (r *reloader) reload() error {
	content, err := r.files.read()
	if err != nil {
		return err
	}
	// The content is compared, because a file may change without another size or time.
	if r.current != nil && equal(r.current.content, content) {
		return nil
	}
	m, err := r.files.parse(content)
	if err != nil {
		return err
	}
	r.current = m
	return nil
}

func equal(a, b [3][]byte) bool {
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}
