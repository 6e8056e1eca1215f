package config

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"example.com/todo/platform/internal/smallfile"
)

const (
	fileSuffix     = "_FILE"  // of the variable with the path of a secret's file
	maxSecretBytes = 64 << 10 // of a secret's file
)

// readSecretFile makes the content of the file at path the setting's value, or stores its problem. The problem quotes
// neither the path, which may be the secret by mistake, nor the content.
func (s *setting) readSecretFile(path string) {
	s.source = s.envSource() + fileSuffix
	content, err := smallfile.Read(path, maxSecretBytes)
	value := string(content)
	// Editors and echo end a file with a line break.
	value = strings.TrimSuffix(strings.TrimSuffix(value, "\n"), "\r")
	switch {
	case err != nil:
	case value == "":
		err = errors.New("names an empty file")
	case !utf8.ValidString(value) || strings.ContainsFunc(strings.TrimSpace(value), unicode.IsControl):
		err = errors.New("names a file that is not one line of text")
	}
	s.raw, s.problem = value, err
}
