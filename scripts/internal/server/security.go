package server

import (
	"crypto/tls"
	"fmt"
	"os"
	"strings"

	"example.com/todo/scripts/internal/localca"
)

// Account is a user of a server.
type Account struct{ Name, Password string }

// Security makes a server speak TLS only, to users that sign in. A nil Security is plain text without users.
type Security struct {
	Cert, Key string    // PEM files of the server
	CA        string    // PEM file with the authority of Cert, which clients trust
	Operator  Account   // may do everything; PostgreSQL has its superuser instead
	Users     []Account // may do what Rules says
	Rules     string    // the file of the repository with the rights of the users
}

// clientTLS returns the configuration of a client that trusts CA.
func (s *Security) clientTLS() (*tls.Config, error) {
	pool, err := localca.Pool(s.CA)
	if err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, nil
}

// keyAndCert returns the private key and the certificate in one text.
func (s *Security) keyAndCert() (string, error) {
	key, err := os.ReadFile(s.Key)
	if err != nil {
		return "", err
	}
	cert, err := os.ReadFile(s.Cert)
	return string(key) + string(cert), err
}

// readRules calls use with the fields of each line of Rules that is neither empty nor a comment.
func (s *Security) readRules(use func(fields []string) error) error {
	content, err := os.ReadFile(s.Rules)
	if err != nil {
		return err
	}
	for number, line := range strings.Split(string(content), "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if err := use(fields); err != nil {
			return fmt.Errorf("%s, line %d: %w", s.Rules, number+1, err)
		}
	}
	return nil
}
