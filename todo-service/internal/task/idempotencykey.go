package task

import (
	"fmt"
	"regexp"
	"time"

	"example.com/todo/platform/apperr"
)

const (
	// IdempotencyKeyTTL is for how long a key identifies the creation that first used it.
	IdempotencyKeyTTL = 24 * time.Hour
	maxKeyLength      = 255 // characters

	keyField = "Idempotency-Key" // the HTTP header; in lower case the gRPC metadata key
)

// A key is visible ASCII. In a string of RFC 9651, section 3.3.3, a backslash escapes a
// quote or a backslash, and nothing else.
var (
	bareKey      = regexp.MustCompile(`^[!#-~][!-~]*$`)
	quotedKey    = regexp.MustCompile(`^"((?:[!#-\[\]-~]|\\["\\])*)"$`)
	escapedInKey = regexp.MustCompile(`\\(.)`)
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
	text := values[0]
	if quoted := quotedKey.FindStringSubmatch(text); quoted != nil {
		text = escapedInKey.ReplaceAllString(quoted[1], "$1")
	} else if !bareKey.MatchString(text) {
		text = ""
	}
	if text == "" || len(text) > maxKeyLength {
		return IdempotencyKey{}, invalidKey(fmt.Sprintf("must be 1 to %d visible ASCII characters, in double quotes or bare", maxKeyLength))
	}
	return IdempotencyKey{text}, nil
}

// String returns the key without quotes, or "" for the zero value.
func (k IdempotencyKey) String() string { return k.text }

func invalidKey(problem string) error {
	return apperr.InvalidFields(apperr.Field{Name: keyField, Problem: problem})
}
