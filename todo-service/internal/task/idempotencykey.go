package task

import (
	"fmt"
	"strings"
	"time"

	"example.com/todo/platform/apperr"
)

const (
	// IdempotencyKeyTTL is for how long a key identifies the creation that first used it.
	IdempotencyKeyTTL = 24 * time.Hour
	maxKeyLength      = 255 // characters

	keyField = "Idempotency-Key" // the HTTP header; in lower case the gRPC metadata key
)

// IdempotencyKey identifies a creation: a client that repeats the request with the same
// key gets one task. The zero value means that the request has no key.
type IdempotencyKey struct{ text string }

// ParseIdempotencyKey parses the values of the header Idempotency-Key: no value, or one
// key of 1 to 255 visible ASCII characters. The key may stand in double quotes (a string
// of RFC 9651, as the header's standard requires) or bare, as most clients send it; "a"
// and a are the same key. The error is apperr.Invalid.
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

// String returns the key without quotes, or "" for the zero value.
func (k IdempotencyKey) String() string { return k.text }

// unquote decodes a string of RFC 9651, section 3.3.3: a backslash escapes a quote or a
// backslash, and nothing else. A bare value is returned as it is.
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
