package app

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// issuer is an OIDC issuer with one key.
type issuer struct {
	url string
	key jose.JSONWebKey
}

const audience = "todo"

// newKey returns a private key with that id.
func newKey(t testing.TB, id string) jose.JSONWebKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: key, KeyID: id}
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	key := newKey(t, "1")
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	serveJSON := func(path string, v any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(v)
		})
	}
	serveJSON("/.well-known/openid-configuration", map[string]any{"issuer": server.URL, "jwks_uri": server.URL + "/keys"})
	serveJSON("/keys", jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}})
	return &issuer{server.URL, key}
}

// configure makes a service accept the tokens of the issuer.
func (i *issuer) configure(cfg *Config) {
	cfg.Auth.OIDC.Issuer, cfg.Auth.OIDC.Audience = i.url, audience
}

// sign returns a token with the claims of a valid one, but for the changes.
func (i *issuer) sign(t testing.TB, algorithm jose.SignatureAlgorithm, key jose.JSONWebKey, changes map[string]any) string {
	t.Helper()
	claims := map[string]any{"iss": i.url, "aud": audience, "sub": "7", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix()}
	maps.Copy(claims, changes)
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// token returns a valid token.
func (i *issuer) token(t testing.TB) string {
	t.Helper()
	return i.sign(t, jose.RS256, i.key, nil)
}
