// Package oidcverifier verifies the tokens of one OIDC issuer: JWTs that are signed by
// RS256 or ES256. It finds the issuer's keys by OpenID Connect Discovery.
package oidcverifier

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/coreos/go-oidc/v3/oidc"

	"example.com/todo/todo-service/internal/account"
)

const (
	// leeway is how far the clocks of the issuer and of this machine may differ.
	leeway = 30 * time.Second
	// maxSubject is the number of bytes that OpenID Connect Core, section 2, allows.
	maxSubject = 255
	// fetchTimeout bounds a request to the issuer: a sign-in has 5 s in all.
	fetchTimeout = 3 * time.Second
)

// algorithms are pinned: the issuer's metadata and the token's header cannot add "none", or
// an algorithm that takes the public key for a shared secret.
var algorithms = []string{oidc.RS256, oidc.ES256}

// Verifier verifies tokens. It is safe for concurrent use.
type Verifier struct {
	cfg    Config
	now    func() time.Time
	client *http.Client

	mu     sync.Mutex
	tokens *oidc.IDTokenVerifier // nil until the issuer was discovered
}

// New returns a Verifier. It does not dial: the issuer may be unavailable.
func New(cfg Config, now func() time.Time) *Verifier {
	return &Verifier{cfg: cfg, now: now, client: &http.Client{
		Timeout:   fetchTimeout,
		Transport: &fetcher{base: http.DefaultTransport.(*http.Transport).Clone(), now: now, last: map[string]fetch{}},
	}}
}

// Verify returns the identity that the token names. An invalid token is an
// account.InvalidCredentialsError. While the issuer's keys cannot be fetched the error is
// apperr.Unavailable.
func (v *Verifier) Verify(ctx context.Context, token string) (account.Identity, error) {
	if !isJWT(token) {
		return account.Identity{}, account.InvalidCredentialsError(errors.New("the token is no JWT"))
	}
	tokens, err := v.discover(ctx)
	if err != nil {
		return account.Identity{}, classifyFetch(err)
	}
	var fetchErr error // the library keeps only the text of a key set's error
	verified, err := tokens.Verify(context.WithValue(ctx, fetchErrKey{}, &fetchErr), token)
	if err != nil {
		return account.Identity{}, classifyFetch(errors.Join(err, fetchErr))
	}
	if err := v.checkClaims(verified); err != nil {
		return account.Identity{}, account.InvalidCredentialsError(err)
	}
	return account.Identity{Issuer: verified.Issuer, Subject: verified.Subject}, nil
}

// isJWT reports whether the token has the three parts of a signed JWT.
func isJWT(token string) bool { return strings.Count(token, ".") == 2 }

// discover returns the verifier with the keys that the issuer's metadata names.
func (v *Verifier) discover(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.tokens != nil {
		return v.tokens, nil
	}
	// The result is for all callers, so it must not depend on whether this one waits for it.
	ctx = oidc.ClientContext(context.WithoutCancel(ctx), v.client)
	provider, err := oidc.NewProvider(ctx, v.cfg.Issuer)
	var metadata struct {
		KeysURL string `json:"jwks_uri"`
	}
	if err == nil {
		err = provider.Claims(&metadata)
	}
	if err != nil {
		return nil, fmt.Errorf("discovery of the issuer: %w", errors.Join(errFetch, err))
	}
	v.tokens = oidc.NewVerifier(v.cfg.Issuer, keySet{oidc.NewRemoteKeySet(ctx, metadata.KeysURL)}, &oidc.Config{
		ClientID:             v.cfg.Audience,
		SupportedSigningAlgs: algorithms,
		SkipExpiryCheck:      true, // the library allows no leeway for exp and 5 minutes for nbf: see checkClaims
	})
	return v.tokens, nil
}

type fetchErrKey struct{}

// keySet stores the error of a fetch in the *error of the context under fetchErrKey.
type keySet struct{ oidc.KeySet }

// VerifySignature implements oidc.KeySet.
func (k keySet) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := k.KeySet.VerifySignature(ctx, jwt)
	if isFetchError(err) {
		if into, ok := ctx.Value(fetchErrKey{}).(*error); ok {
			*into = err
		}
	}
	return payload, err
}

// checkClaims checks what the library does not: the times with leeway, the exact issuer,
// and the subject.
func (v *Verifier) checkClaims(token *oidc.IDToken) error {
	var times struct {
		Expires   *float64 `json:"exp"`
		NotBefore *float64 `json:"nbf"`
		IssuedAt  *float64 `json:"iat"`
	}
	if err := token.Claims(&times); err != nil {
		return err
	}
	now := float64(v.now().UnixMilli()) / 1000
	earliest, latest := now-leeway.Seconds(), now+leeway.Seconds()
	switch {
	case times.Expires == nil || *times.Expires <= earliest:
		return errors.New("the token has expired, or never does")
	case times.NotBefore != nil && *times.NotBefore > latest:
		return errors.New("the token is not valid yet")
	case times.IssuedAt != nil && *times.IssuedAt > latest:
		return errors.New("the token was issued in the future")
	case token.Issuer != v.cfg.Issuer: // the library takes another name of one issuer
		return errors.New("the token is of another issuer")
	case token.Subject == "" || len(token.Subject) > maxSubject || strings.ContainsRune(token.Subject, 0) || !utf8.ValidString(token.Subject):
		return errors.New("the token has no valid subject")
	}
	return nil
}
