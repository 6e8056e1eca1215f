package server

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/twmb/franz-go/pkg/kfake"
)

// The process of the embedded Kafka reads its Security from a file: other users can read its arguments.
func embeddedSecurityPath(dir string) string { return filepath.Join(dir, "security.json") }

// prepareEmbeddedKafka creates the folder, in which the broker stores the passwords of its users, too.
func prepareEmbeddedKafka(dir string, s *Security) error {
	if s == nil {
		return os.MkdirAll(dir, 0o755)
	}
	content, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(embeddedSecurityPath(dir), content, 0o600))
}

// embeddedSecurity returns the options of a broker whose folder has a Security.
func embeddedSecurity(dir string) ([]kfake.Opt, error) {
	content, err := os.ReadFile(embeddedSecurityPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var s Security
	if err := json.Unmarshal(content, &s); err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(s.Cert, s.Key)
	if err != nil {
		return nil, err
	}
	return []kfake.Opt{
		kfake.TLS(&tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}),
		kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser(operatorMechanism, s.Operator.Name, s.Operator.Password),
	}, nil
}
