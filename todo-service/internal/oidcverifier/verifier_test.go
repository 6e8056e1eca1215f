package oidcverifier_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/account"
	"example.com/todo/todo-service/internal/oidcverifier"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const audience = "todo"

// issuer is an OIDC issuer whose keys a test can replace, and a clock.
type issuer struct {
	*httptest.Server

	discoveries, fetches atomic.Int64
	down                 atomic.Bool

	mu   sync.Mutex
	keys []jose.JSONWebKey
	now  time.Time
}

// The keys of all tests: making one takes a while.
var rsaKey, ecKey, otherKey = must(rsa.GenerateKey(rand.Reader, 2048)), must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), must(rsa.GenerateKey(rand.Reader, 2048))

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	s := &issuer{now: time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)}
	s.setKeys(jose.JSONWebKey{Key: rsaKey.Public(), KeyID: "r"}, jose.JSONWebKey{Key: ecKey.Public(), KeyID: "e"})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		s.discoveries.Add(1)
		s.write(w, map[string]any{
			"issuer": s.URL, "jwks_uri": s.URL + "/keys", "id_token_signing_alg_values_supported": []string{"none", "HS256", "RS256", "RS512", "ES256"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		s.fetches.Add(1)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.write(w, jose.JSONWebKeySet{Keys: s.keys})
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *issuer) write(w http.ResponseWriter, v any) {
	if s.down.Load() {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (s *issuer) setKeys(keys ...jose.JSONWebKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = keys
}

// clock is the clock of the verifier.
func (s *issuer) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *issuer) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func (s *issuer) verifier() *oidcverifier.Verifier {
	return oidcverifier.New(oidcverifier.Config{Issuer: s.URL, Audience: audience}, s.clock)
}

// claims returns valid claims with some changed; nil removes one.
func (s *issuer) claims(changes map[string]any) map[string]any {
	now := s.clock().Unix()
	claims := map[string]any{"iss": s.URL, "aud": audience, "sub": "7", "exp": now + 300, "iat": now}
	for name, value := range changes {
		claims[name] = value
		if value == nil {
			delete(claims, name)
		}
	}
	return claims
}

// sign returns a token.
func sign(t *testing.T, algorithm jose.SignatureAlgorithm, key any, keyID string, claims any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key, KeyID: keyID}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	payload := must(json.Marshal(claims))
	return must(must(signer.Sign(payload)).CompactSerialize())
}

func wantKind(t *testing.T, name string, err error, want apperr.Kind) {
	t.Helper()
	if err == nil || apperr.Of(err).Kind != want {
		t.Errorf("%s: got %v, want an error of kind %d", name, err, want)
	}
}

func TestValidTokenNamesTheUser(t *testing.T) {
	t.Parallel()
	s := newIssuer(t)
	verifier := s.verifier()
	for name, token := range map[string]string{
		"RS256":                 sign(t, jose.RS256, rsaKey, "r", s.claims(nil)),
		"ES256":                 sign(t, jose.ES256, ecKey, "e", s.claims(nil)),
		"no id of a key":        sign(t, jose.RS256, rsaKey, "", s.claims(nil)),
		"several audiences":     sign(t, jose.RS256, rsaKey, "r", s.claims(map[string]any{"aud": []string{"other", audience}})),
		"expired within leeway": sign(t, jose.RS256, rsaKey, "r", s.claims(map[string]any{"exp": s.clock().Unix() - 29})),
		"valid within leeway":   sign(t, jose.RS256, rsaKey, "r", s.claims(map[string]any{"nbf": s.clock().Unix() + 30, "iat": s.clock().Unix() + 30})),
		"valid from now":        sign(t, jose.RS256, rsaKey, "r", s.claims(map[string]any{"nbf": s.clock().Unix(), "iat": nil})),
	} {
		got, err := verifier.Verify(t.Context(), token)
		if want := (account.Identity{Issuer: s.URL, Subject: "7"}); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	if s.discoveries.Load() != 1 || s.fetches.Load() != 1 {
		t.Errorf("%d requests for metadata and %d for keys, want one of each", s.discoveries.Load(), s.fetches.Load())
	}
}

func TestInvalidTokenIsRefused(t *testing.T) {
	t.Parallel()
	s := newIssuer(t)
	verifier := s.verifier()
	now := s.clock().Unix()
	valid := sign(t, jose.RS256, rsaKey, "r", s.claims(nil))
	parts := strings.Split(valid, ".")
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(rsaKey.Public()))})
	tokens := map[string]string{
		"nothing":                           "",
		"no JWT":                            "abc",
		"garbage in three parts":            "a.b.c",
		"five parts":                        valid + ".a.b",
		"no signature":                      parts[0] + "." + parts[1] + ".",
		"alg none":                          encode(`{"alg":"none"}`) + "." + parts[1] + ".",
		"alg None, with the signature":      encode(`{"alg":"None"}`) + "." + parts[1] + "." + parts[2],
		"another payload":                   parts[0] + "." + encode(`{"iss":"`+s.URL+`","aud":"todo","sub":"8","exp":4000000000}`) + "." + parts[2],
		"HS256 with the public key as PEM":  sign(t, jose.HS256, publicPEM, "r", s.claims(nil)),
		"HS256 with the modulus":            sign(t, jose.HS256, rsaKey.N.Bytes(), "r", s.claims(nil)),
		"RS512, which the issuer announces": sign(t, jose.RS512, rsaKey, "r", s.claims(nil)),
		"PS256":                             sign(t, jose.PS256, rsaKey, "r", s.claims(nil)),
		"ES256 under the id of another key": sign(t, jose.ES256, ecKey, "r", s.claims(nil)),
		"another key":                       sign(t, jose.RS256, otherKey, "r", s.claims(nil)),
		"a key in its own header":           signWithOwnKey(t, s.claims(nil)),
	}
	for name, changes := range map[string]map[string]any{
		"another issuer":            {"iss": "https://other.example.com"},
		"the issuer with a slash":   {"iss": s.URL + "/"},
		"no issuer":                 {"iss": nil},
		"another audience":          {"aud": "other"},
		"no audience":               {"aud": nil},
		"an audience within a word": {"aud": "todo-service"},
		"expired":                   {"exp": now - 30},
		"expired long ago":          {"exp": 0},
		"no expiry":                 {"exp": nil},
		"a text for the expiry":     {"exp": "4000000000"},
		"not valid yet":             {"nbf": now + 31},
		"issued in the future":      {"iat": now + 31},
		"no subject":                {"sub": nil},
		"an empty subject":          {"sub": ""},
		"a long subject":            {"sub": strings.Repeat("s", 256)},
		"NUL in the subject":        {"sub": "7\x00"},
	} {
		tokens[name] = sign(t, jose.RS256, rsaKey, "r", s.claims(changes))
	}
	message := ""
	for name, token := range tokens {
		identity, err := verifier.Verify(t.Context(), token)
		wantKind(t, name, err, apperr.Unauthenticated)
		if identity != (account.Identity{}) {
			t.Errorf("%s: got the identity %+v", name, identity)
		}
		if err == nil {
			continue
		}
		if message == "" {
			message = apperr.Of(err).Message
		}
		if apperr.Of(err).Message != message {
			t.Errorf("%s: the client gets %q, and %q for another token", name, apperr.Of(err).Message, message)
		}
		if token != "" && len(token) > 20 && strings.Contains(err.Error(), token) {
			t.Errorf("%s: the token is in the error %v", name, err)
		}
	}
	if _, err := verifier.Verify(t.Context(), valid); err != nil {
		t.Errorf("the valid token: %v", err)
	}
}

// signWithOwnKey returns a token with its public key in the header.
func signWithOwnKey(t *testing.T, claims any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: otherKey}, &jose.SignerOptions{EmbedJWK: true})
	if err != nil {
		t.Fatal(err)
	}
	return must(must(signer.Sign(must(json.Marshal(claims)))).CompactSerialize())
}

func TestUnknownKeyIsFetchedOnceInThirtySeconds(t *testing.T) {
	t.Parallel()
	s := newIssuer(t)
	verifier := s.verifier()
	rotated := sign(t, jose.RS256, otherKey, "n", s.claims(map[string]any{"exp": s.clock().Unix() + 3600}))
	wantKind(t, "an unknown key", second(verifier.Verify(t.Context(), rotated)), apperr.Unauthenticated)
	s.setKeys(jose.JSONWebKey{Key: otherKey.Public(), KeyID: "n"})
	for range 50 {
		wantKind(t, "a key that is new since the last fetch", second(verifier.Verify(t.Context(), rotated)), apperr.Unauthenticated)
	}
	if got := s.fetches.Load(); got != 1 {
		t.Errorf("%d fetches within 30 s, want 1", got)
	}
	s.pass(30 * time.Second)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := verifier.Verify(t.Context(), rotated); err != nil {
				t.Errorf("after 30 s: %v", err)
			}
		})
	}
	all.Wait()
	if got := s.fetches.Load(); got != 2 {
		t.Errorf("%d fetches, want 2", got)
	}
	wantKind(t, "a key that was removed", second(verifier.Verify(t.Context(), sign(t, jose.RS256, rsaKey, "r", s.claims(nil)))), apperr.Unauthenticated)
}

func second(_ account.Identity, err error) error { return err }

func TestIssuerThatIsAwayMakesSignInUnavailable(t *testing.T) {
	t.Parallel()
	s := newIssuer(t)
	verifier := s.verifier()
	token := sign(t, jose.RS256, rsaKey, "r", s.claims(map[string]any{"exp": s.clock().Unix() + 3600}))
	s.down.Store(true)
	for range 10 {
		err := second(verifier.Verify(t.Context(), token))
		wantKind(t, "without metadata", err, apperr.Unavailable)
		if strings.Contains(apperr.Of(err).Message, s.URL) {
			t.Errorf("the client gets the address: %s", apperr.Of(err).Message)
		}
	}
	if got := s.discoveries.Load(); got != 1 {
		t.Errorf("%d requests for metadata within 30 s, want 1", got)
	}
	s.pass(30 * time.Second)
	s.down.Store(false)
	if err := second(verifier.Verify(t.Context(), token)); err != nil {
		t.Errorf("after 30 s: %v", err)
	}
	s.down.Store(true)
	s.pass(30 * time.Second)
	if err := second(verifier.Verify(t.Context(), token)); err != nil {
		t.Errorf("with a known key: %v", err)
	}
	unknown := sign(t, jose.RS256, otherKey, "n", s.claims(nil))
	for range 2 {
		wantKind(t, "with an unknown key", second(verifier.Verify(t.Context(), unknown)), apperr.Unavailable)
	}
	if got := s.fetches.Load(); got != 2 {
		t.Errorf("%d fetches, want 2", got)
	}
}

// A caller that has left must not make the next ones wait for 30 s.
func TestCallerThatLeavesDoesNotSpoilTheDiscovery(t *testing.T) {
	t.Parallel()
	s := newIssuer(t)
	verifier := s.verifier()
	token := sign(t, jose.RS256, rsaKey, "r", s.claims(nil))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _ = verifier.Verify(ctx, token)
	testenv.Eventually(t, "the token is valid", func() bool { return second(verifier.Verify(t.Context(), token)) == nil })
}

func TestKeysOfAnInsecureAddressAreNotFetched(t *testing.T) {
	t.Parallel()
	s := newIssuer(t)
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		s.write(w, map[string]any{"issuer": server.URL, "jwks_uri": "http://keys.example.com/keys"})
	})
	verifier := oidcverifier.New(oidcverifier.Config{Issuer: server.URL, Audience: audience}, s.clock)
	claims := maps.Clone(s.claims(nil))
	claims["iss"] = server.URL
	err := second(verifier.Verify(t.Context(), sign(t, jose.RS256, rsaKey, "r", claims)))
	wantKind(t, "keys over http", err, apperr.Unavailable)
	if !strings.Contains(err.Error(), "not https") {
		t.Errorf("the cause is %v", err)
	}
}
