package config

import (
	"fmt"
	"io"
	"log/slog"
	"regexp"
)

const redacted = "[secret]"

// Secret is a setting that never prints: every fmt verb, JSON, YAML and slog
// show "[secret]". Reveal is the one way to its value.
type Secret string

// Reveal returns the value, for the library that needs it.
func (s Secret) Reveal() string { return string(s) }

// String returns "[secret]".
func (s Secret) String() string { return redacted }

// Format writes "[secret]" for every verb, %#v and mistaken ones included.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText returns "[secret]": it serves JSON, YAML and others.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue returns "[secret]".
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// Where a value may hold a credential: all that stands before an @ (of
// "scheme://user:password@host", with or without the scheme), and all that
// follows "password=". Both take too much rather than too little, because a
// password may hold any character.
var (
	userinfo           = regexp.MustCompile(`(?s):(//)?.*@`)
	passwordAssignment = regexp.MustCompile(`(?is)((?:` + secretNames + `)[^=\s]*\s*=).*`)
)

const secretNames = `pas+w|pwd|secret|token|credential`

// redact hides the credentials in text that is not secret as a whole.
func redact(text string) string {
	text = userinfo.ReplaceAllString(text, ":${1}"+redacted+"@")
	return passwordAssignment.ReplaceAllString(text, "${1}"+redacted)
}
