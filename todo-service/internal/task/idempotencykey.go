package task

import (
	"fmt"
	"strings"
	"time"

	"example.com/todo/platform/apperr"
)

const (
	// IdempotencyKeyTTL is how long a key stands for the creation it was first used for.
	IdempotencyKeyTTL = 24 * time.Hour
	maxKeyLength      = 255 // characters

	keyField = "Idempotency-Key" // its header, and in lower case its gRPC metadata
)

// IdempotencyKey names a creation, so that its client may ask for it again and still get
// one task. Its zero value is no key.
type IdempotencyKey struct{ text string }

// ParseIdempotencyKey reads the values of the field Idempotency-Key as a request carried
// them: none, or one key of 1 to 255 visible ASCII characters. It may stand in
// double quotes, as the field's standard wants it (a string of RFC 9651), or
// bare, as most clients send it; "a" and a are the same key. Anything else is
// refused (fault.Invalid).
func ParseIdempotencyKey(values []string) (IdempotencyKey, error) {
	switch len(values) {
	case 0:
		return IdempotencyKey{}, nil
	case 1:
	default:
		return IdempotencyKey{}, invalidKey("must be given once")
	}
	text, ok := unquote(values[0])
	invisible := func(r rune) bool { return r < '!' || r > '~' }
	if !ok || text == "" || len(text) > maxKeyLength || strings.ContainsFunc(text, invisible) {
		return IdempotencyKey{}, invalidKey(fmt.Sprintf("must be 1 to %d visible ASCII characters, in double quotes or bare", maxKeyLength))
	}
	return IdempotencyKey{text}, nil
}

// String returns the key without quotes, or "" when there is none.
func (k IdempotencyKey) String() string { return k.text }

// unquote takes the quotes off a string of RFC 9651, in which a backslash goes
// before a quote or a backslash and before nothing else.
func unquote(value string) (text string, ok bool) {
	inner, quoted := strings.CutPrefix(value, `"`)
	if !quoted {
		return value, true
	}
	var plain strings.Builder
	for i := 0; i < len(inner); i++ {
		switch c := inner[i]; c {
		case '"':
			return plain.String(), i == len(inner)-1
		case '\\':
			if i++; i == len(inner) || inner[i] != '"' && inner[i] != '\\' {
				return "", false
			}
			plain.WriteByte(inner[i])
		default:
			plain.WriteByte(c)
		}
	}
	return "", false
}

func invalidKey(problem string) error {
	return apperr.InvalidFields(apperr.Field{Name: keyField, Problem: problem})
}
