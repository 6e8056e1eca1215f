package kafka

import (
	"strings"

	"example.com/todo/platform/config"
)

// SASL has the credentials of the client. Without a mechanism it does not authenticate.
type SASL struct {
	SASLMechanism string        `config:"sasl_mechanism"` // plain, scram-sha-256 or scram-sha-512
	SASLUsername  string        `config:"sasl_username"`
	SASLPassword  config.Secret `config:"sasl_password"`
}

// The values of SASLMechanism.
const (
	saslPlain       = "plain"
	saslSCRAMSHA256 = "scram-sha-256"
	saslSCRAMSHA512 = "scram-sha-512"
)

// Validate rejects an unknown mechanism, a mechanism without user or password, and a user or
// a password without a mechanism.
func (s SASL) Validate() error {
	switch s.SASLMechanism {
	case saslPlain, saslSCRAMSHA256, saslSCRAMSHA512:
	case "":
		switch {
		case s.SASLUsername != "":
			return config.Invalid("sasl_username", "has no effect without sasl_mechanism: set that, too")
		case s.SASLPassword != "":
			return config.Invalid("sasl_password", "has no effect without sasl_mechanism: set that, too")
		}
		return nil
	default:
		return config.Invalid("sasl_mechanism", "must be %s, %s or %s", saslPlain, saslSCRAMSHA256, saslSCRAMSHA512)
	}
	switch {
	case s.SASLUsername == "":
		return config.Invalid("sasl_mechanism", "needs a user: set sasl_username")
	case s.SASLPassword == "":
		return config.Invalid("sasl_username", "needs a password: set sasl_password")
	case strings.ContainsRune(s.SASLUsername, 0):
		return config.Invalid("sasl_username", "must not contain the character NUL, which separates it from the password")
	case strings.ContainsRune(s.SASLPassword.Reveal(), 0):
		return config.Invalid("sasl_password", "must not contain the character NUL, which separates it from the user")
	}
	return config.CheckName("sasl_username", s.SASLUsername)
}
