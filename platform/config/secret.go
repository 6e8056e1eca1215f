package config

import (
	"fmt"
	"io"
	"log/slog"
	"regexp"
)

const redacted = "[secret]"

// Secret is a setting whose value is never printed: every fmt verb, JSON, YAML and slog print "[secret]". Only
// Reveal returns the value.
type Secret string

// Reveal returns the value.
func (s Secret) Reveal() string { return string(s) }

// String returns "[secret]".
func (s Secret) String() string { return redacted }

// Format writes "[secret]" for every verb, also %#v and invalid ones.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText returns "[secret]", for JSON, YAML and others.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue returns "[secret]".
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// The parts of a value that may be a credential: everything before an @, as in "scheme://user:password@host" with or
// without the scheme, and everything after "password=". They match too much rather than too little,
// because a password may contain any character.
var (
	userinfo           = regexp.MustCompile(`(?s):(//)?.*@`)
	passwordAssignment = regexp.MustCompile(`(?is)((?:` + secretNames + `)[^=\s]*\s*=).*`)
)

const secretNames = `pas+w|pwd|secret|token|credential`

func redact(text string) string {
	text = userinfo.ReplaceAllString(text, ":${1}"+redacted+"@")
	return passwordAssignment.ReplaceAllString(text, "${1}"+redacted)
}
