package account

import (
	"fmt"
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"example.com/todo/platform/apperr"
)

const (
	maxEmail     = 254 // bytes: RFC 5321 has 256 for a path with its angle brackets
	maxLocalPart = 64  // bytes, RFC 5321, 4.5.3.1.1
)

// NormalizeEmail returns the e-mail as it is stored and compared: trimmed, case-folded and
// in NFC. The error is apperr.Invalid.
func NormalizeEmail(email string) (string, error) {
	normalized := foldEmail(email)
	if problem := emailProblem(normalized); problem != "" {
		return "", apperr.InvalidFields(apperr.Field{Name: "email", Problem: problem})
	}
	return normalized, nil
}

// foldEmail returns the e-mail trimmed, case-folded and in NFC. It may be invalid.
func foldEmail(email string) string {
	// Folding may leave a text that is not in NFC.
	return norm.NFC.String(cases.Fold().String(norm.NFC.String(strings.TrimSpace(email))))
}

func emailProblem(email string) string {
	switch {
	case email == "":
		return "must not be empty"
	case len(email) > maxEmail:
		return fmt.Sprintf("must have at most %d bytes", maxEmail)
	case !isPlausible(email):
		return "must be an e-mail address, such as ann@example.com"
	}
	return ""
}

// isPlausible reports whether mail could be delivered to the address.
func isPlausible(email string) bool {
	unusual := func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }
	if !utf8.ValidString(email) || strings.ContainsFunc(email, unusual) {
		return false
	}
	parsed, err := mail.ParseAddress(email)
	if err != nil || parsed.Name != "" || parsed.Address != email { // "Ann <ann@example.com>", a quoted local part
		return false
	}
	local, domain, _ := strings.Cut(email, "@")
	return len(local) <= maxLocalPart && !strings.HasPrefix(domain, "[")
}
