// Package config stub.
package config

import "io"

type Secret string

func (s Secret) Reveal() string { return string(s) }
func (s Secret) String() string { return "[secret]" }

func Load(into any, file string, environ []string) error { panic("soon") }
func Invalid(key, format string, args ...any) error      { panic("soon") }
func Print(w io.Writer, cfg any) error                   { panic("soon") }
