package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"

	"example.com/todo/platform/apperr"
)

const (
	tokenBytes  = 32                     // 256 random bits
	tokenLength = (tokenBytes*8 + 5) / 6 // characters of base64url, without padding
)

// tokenEncoding is strict, so that exactly one text is the token of a session.
var tokenEncoding = base64.RawURLEncoding.Strict()

// Causes of Unauthenticated errors. They are for the log: the client gets one message for
// all of them.
var (
	errNoToken        = errors.New("no token")
	errSeveralTokens  = errors.New("several tokens")
	errMalformedToken = errors.New("malformed token")
	errNoSession      = errors.New("the session has ended, or never was")
)

// unauthenticated returns the error of a request without a valid session.
func unauthenticated(cause error) error {
	return apperr.New(apperr.Unauthenticated, "the request has no valid session; sign in").WithCause(cause)
}

// unavailable returns the error of a request whose session could not be looked up.
func unavailable(cause error) error {
	return apperr.New(apperr.Unavailable, "sessions are unavailable at the moment; try again").WithCause(cause)
}

func newToken() string {
	random := make([]byte, tokenBytes)
	_, _ = rand.Read(random) // never fails
	return tokenEncoding.EncodeToString(random)
}

// hashToken returns the SHA-256 of a token in hexadecimal, or apperr.Unauthenticated if the
// text cannot be a token.
func hashToken(token string) (string, error) {
	if len(token) != tokenLength {
		return "", unauthenticated(errMalformedToken)
	}
	// The decoder skips line ends, so that a text with one has fewer bytes.
	if random, err := tokenEncoding.DecodeString(token); err != nil || len(random) != tokenBytes {
		return "", unauthenticated(errMalformedToken)
	}
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:]), nil
}

// parseBearer returns the token of the values of an Authorization header. Anything but one
// well-formed token of the scheme Bearer is apperr.Unauthenticated.
func parseBearer(values []string) (string, error) {
	switch len(values) {
	case 0:
		return "", unauthenticated(errNoToken)
	case 1:
	default:
		return "", unauthenticated(errSeveralTokens)
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", unauthenticated(errMalformedToken)
	}
	token = strings.TrimLeft(token, " ")
	if _, err := hashToken(token); err != nil {
		return "", err
	}
	return token, nil
}
