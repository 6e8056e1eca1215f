package client

import (
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"hash"
	"strings"

	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/tlsconfig"
)

// setCredentials makes Sarama authenticate each connection, if there is a mechanism.
func setCredentials(s *sarama.Config, cfg kafka.SASL) {
	if cfg.SASLMechanism == "" {
		return
	}
	s.Net.SASL.Enable = true
	s.Net.SASL.Mechanism = sarama.SASLMechanism(strings.ToUpper(cfg.SASLMechanism))
	s.Net.SASL.User = cfg.SASLUsername
	s.Net.SASL.Password = cfg.SASLPassword.Reveal()
	if s.Net.SASL.Mechanism != sarama.SASLTypePlaintext {
		digest := sha256.New
		if s.Net.SASL.Mechanism == sarama.SASLTypeSCRAMSHA512 {
			digest = sha512.New
		}
		s.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scramClient{digest: digest} }
	}
}

// scramClient is one SCRAM conversation.
type scramClient struct {
	digest func() hash.Hash
	*scram.ClientConversation
}

// Begin starts the conversation of that user.
func (c *scramClient) Begin(user, password, authzID string) error {
	client, err := scram.HashGeneratorFcn(c.digest).NewClient(user, password, authzID)
	if err != nil {
		return errors.New("the user or the password has characters that SCRAM forbids") // err may quote them
	}
	c.ClientConversation = client.NewConversation()
	return nil
}

// credentialsError says which setting the broker rejects.
type credentialsError struct {
	error
	try string
}

func (e *credentialsError) Error() string { return e.error.Error() + ": " + e.try }
func (e *credentialsError) Unwrap() error { return e.error }

// explainSecurity returns err with the setting to look at, if it is about TLS or the
// credentials. explained reports whether it is.
func explainSecurity(err error, cfg kafka.Config) (_ error, explained bool) {
	if errors.As(err, new(*credentialsError)) {
		return err, true
	}
	switch {
	case errors.Is(err, sarama.ErrUnsupportedSASLMechanism):
		return &credentialsError{err, "correct " + cfg.Sources.Name("sasl_mechanism")}, true
	case errors.Is(err, sarama.ErrSASLAuthenticationFailed):
		return &credentialsError{err, "correct " + cfg.Sources.Name("sasl_username") + " or " + cfg.Sources.Name("sasl_password")}, true
	}
	err = cfg.ExplainTLS(err, cfg.Sources, "brokers")
	return err, errors.As(err, new(*tlsconfig.Error))
}
