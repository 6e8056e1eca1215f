package app

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"example.com/todo/platform/session/sessiontest"
)

// forgeries returns tokens that sign no user in.
func (m *matrix) forgeries() map[string]string {
	m.Helper()
	i, now := m.issuer, time.Now()
	public, err := x509.MarshalPKIXPublicKey(&i.key.Key.(*rsa.PrivateKey).PublicKey)
	if err != nil {
		m.Fatal(err)
	}
	pemKey := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	parts := strings.Split(i.token(m.TB), ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	changed := func(name string, value any) string {
		return i.sign(m.TB, jose.RS256, i.key, map[string]any{name: value})
	}
	return map[string]string{
		"another audience":                  changed("aud", "other"),
		"another issuer":                    changed("iss", "https://other.example.com"),
		"an expired token":                  changed("exp", now.Add(-time.Minute).Unix()),
		"a token that is not valid yet":     changed("nbf", now.Add(time.Minute).Unix()),
		"a token of the future":             changed("iat", now.Add(time.Minute).Unix()),
		"no subject":                        changed("sub", ""),
		"alg none":                          none + "." + parts[1] + ".",
		"alg none, with the signature":      none + "." + parts[1] + "." + parts[2],
		"no signature":                      parts[0] + "." + parts[1] + ".",
		"HS256 with the public key, as DER": i.sign(m.TB, jose.HS256, jose.JSONWebKey{Key: public, KeyID: "1"}, nil),
		"HS256 with the public key, as PEM": i.sign(m.TB, jose.HS256, jose.JSONWebKey{Key: pemKey, KeyID: "1"}, nil),
		"RS512":                             i.sign(m.TB, jose.RS512, i.key, nil),
		"another key of that id":            i.sign(m.TB, jose.RS256, newKey(m.TB, "1"), nil),
		"an unknown key":                    i.sign(m.TB, jose.RS256, newKey(m.TB, "2"), nil),
		"a token of a session":              m.credential(sessiontest.OfOwner),
		"nothing":                           "",
	}
}

// signInAnswer is the answer to POST /sessions, without its request id.
type signInAnswer struct {
	status    int
	body      string
	challenge string
	cookie    string
}

func (m *matrix) postSession(authorization, body string) signInAnswer {
	m.Helper()
	var got signInAnswer
	m.check("POST /sessions", func() error {
		r, err := http.NewRequestWithContext(m.Context(), http.MethodPost, "http://"+m.cfg.HTTP.Addr+"/sessions", strings.NewReader(body))
		if err != nil {
			return err
		}
		r.Header.Set("X-Forwarded-For", m.nextAddress())
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		if body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		response, text, err := m.exchange(r) //nolint:bodyclose // exchange closes it
		if err != nil {
			return err
		}
		got = signInAnswer{response.StatusCode, requestID.ReplaceAllString(text, ""), response.Header.Get("WWW-Authenticate"), response.Header.Get("Set-Cookie")}
		return nil
	})
	return got
}

// Whatever does not fit about a token or a password, the answer is the same.
func TestSignInRefusesEveryForgeryAndWrongPasswordAlike(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	if _, err := m.accounts.Disable(t.Context(), m.users[sessiontest.OfDisabled].ID); err != nil {
		t.Fatal(err)
	}
	answers := map[string]signInAnswer{}
	for name, token := range m.forgeries() {
		answers[name] = m.postSession("Bearer "+token, "")
	}
	for email, password := range map[string]string{"owner@example.com": userPassword + "!", "disabled@example.com": userPassword, "nobody@example.com": userPassword} {
		answers["the password of "+email] = m.postSession("", fmt.Sprintf(`{"email":%q,"password":%q}`, email, password))
	}
	want := answers["nothing"]
	if want.status != http.StatusUnauthorized || want.challenge != "Bearer" || want.cookie != "" {
		t.Errorf("got %+v", want)
	}
	for name, got := range answers {
		if got != want {
			m.unexpected++
			t.Errorf("%s: got %+v, want %+v as for the others", name, got, want)
		}
	}
	for name, got := range map[string]signInAnswer{
		"a valid token":    m.postSession("Bearer "+m.issuer.token(t), ""),
		"a valid password": m.postSession("", credentials),
	} {
		if got.status != http.StatusCreated || got.challenge != "" || got.cookie != "" {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	t.Logf("%d cells, %d unexpected", m.cells, m.unexpected)
}
