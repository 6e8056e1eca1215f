package config

import (
	"fmt"
	"io"
	"log/slog"
)

const hidden = "[secret]"

// Secret is a setting that never prints: every fmt verb, JSON, YAML and slog
// show "[secret]". Reveal is the one way to its value.
type Secret string

// Reveal returns the value, for the library that needs it.
func (s Secret) Reveal() string { return string(s) }

// String returns "[secret]".
func (s Secret) String() string { return hidden }

// Format writes "[secret]" for every verb, %#v and mistaken ones included.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalText returns "[secret]": it serves JSON, YAML and others.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue returns "[secret]".
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }
