package account

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"example.com/todo/platform/apperr"
)

// The length of a password, in characters. Without further rules about its characters the
// length is what makes it hard to guess (NIST SP 800-63B, 3.1.1.2).
const (
	minPassword = 12
	maxPassword = 128
)

// normalizePassword returns a new password in NFC, so that it is the same on every
// keyboard. The error is apperr.Invalid.
func normalizePassword(password string) (string, error) {
	normalized := norm.NFC.String(password)
	if problem := passwordProblem(normalized); problem != "" {
		return "", apperr.InvalidFields(apperr.Field{Name: "password", Problem: problem})
	}
	return normalized, nil
}

func passwordProblem(password string) string {
	length := utf8.RuneCountInString(password)
	switch {
	case !utf8.ValidString(password) || strings.ContainsRune(password, 0):
		return "must be valid UTF-8 without NUL"
	case length < minPassword || length > maxPassword:
		return fmt.Sprintf("must have from %d to %d characters", minPassword, maxPassword)
	case isWellKnown(password):
		return "is too easy to guess: choose one without common words, repetitions and neighbouring keys"
	}
	return ""
}
