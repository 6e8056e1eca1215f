package session

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/httpserver"
)

// Authenticator authenticates HTTP requests and gRPC calls by the token of their session.
//
// The token is in the header or metadata Authorization ("Bearer <token>"). HTTP requests
// may have it in a cookie instead; with a header, the cookie is ignored. A token in a URL
// is refused with 400, so that clients do not put it where logs and histories keep it.
type Authenticator struct {
	// Check returns the session of a token, or apperr.Unauthenticated, or
	// apperr.Unavailable. It is Store.Check, or one that shares a round trip with other
	// commands.
	Check func(ctx context.Context, token string) (Session, error)
	// Watcher ends gRPC streams with their session.
	Watcher *Watcher
	// IsOpen reports whether Require passes a request without a session. If it is nil,
	// Require passes none.
	IsOpen func(r *http.Request) bool
	// Origins protects changing requests that have the cookie against pages of other
	// origins. If it is nil, no other origin is trusted.
	Origins *http.CrossOriginProtection
	// Secure is for browsers that reach the service by https: the cookie is
	// __Host-session then, and browsers send it by https only.
	Secure bool
}

// tokenParameters are the query parameters that clients use for a token.
var tokenParameters = []string{"access_token", "token", "session", "session_token", "__host-session", "authorization", "bearer", "id_token", "jwt"}

// Require returns next behind authentication. Its requests have a session, unless IsOpen
// passed them. Without one the response is 401, or 503 while Redis does not answer; it is
// 400 for a token in the URL, and 403 for a change by a page of another origin.
func (a *Authenticator) Require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := rejectTokenInURL(r.URL); err != nil {
			httpserver.WriteProblem(w, r, err)
			return
		}
		if a.IsOpen != nil && a.IsOpen(r) {
			next.ServeHTTP(w, r)
			return
		}
		authenticated, err := a.Authenticate(w, r)
		if err != nil {
			httpserver.WriteProblem(w, r, err)
			return
		}
		next.ServeHTTP(w, authenticated)
	})
}

// Authenticate returns the request with its session in the context. It marks the response
// as personal: a handler that sets Cache-Control must keep "private". Errors are those
// that Require answers. Authenticate is for an open route whose response depends on the
// session.
func (a *Authenticator) Authenticate(w http.ResponseWriter, r *http.Request) (*http.Request, error) {
	w.Header().Set("Cache-Control", "private, no-cache")
	w.Header().Add("Vary", "Authorization, Cookie")
	token, err := a.Token(r)
	if err != nil {
		return nil, err
	}
	checked, err := a.Check(r.Context(), token)
	if err != nil {
		return nil, err
	}
	return r.WithContext(WithSession(r.Context(), checked)), nil
}

// Token returns the well-formed token of a request. The error is apperr.Unauthenticated,
// apperr.PermissionDenied for a change by a page of another origin, or status 400.
func (a *Authenticator) Token(r *http.Request) (string, error) {
	if err := rejectTokenInURL(r.URL); err != nil {
		return "", err
	}
	if header, ok := r.Header["Authorization"]; ok {
		return parseBearer(header)
	}
	cookies := r.CookiesNamed(a.cookieName())
	switch len(cookies) {
	case 0:
		return "", unauthenticated(errNoToken)
	case 1:
	default:
		// A page of a sibling domain can add a cookie, and must not choose the session.
		return "", unauthenticated(errSeveralTokens)
	}
	token := cookies[0].Value
	if _, err := hashToken(token); err != nil {
		return "", err
	}
	origins := a.Origins
	if origins == nil {
		origins = http.NewCrossOriginProtection()
	}
	if err := origins.Check(r); err != nil {
		return "", apperr.New(apperr.PermissionDenied, "pages of another origin may not make changes with the cookie of this one").WithCause(err)
	}
	return token, nil
}

// Cookie returns the cookie of a token for a browser, which keeps it for maxAge. With an
// empty token the browser deletes the cookie.
func (a *Authenticator) Cookie(token string, maxAge time.Duration) *http.Cookie {
	cookie := &http.Cookie{ //nolint:gosec // browsers do not return a Secure cookie to a server without TLS
		Name: a.cookieName(), Value: token, Path: "/", MaxAge: int(maxAge / time.Second),
		HttpOnly: true, Secure: a.Secure, SameSite: http.SameSiteLaxMode,
	}
	if token == "" {
		cookie.MaxAge = -1
	}
	return cookie
}

// cookieName has the prefix __Host- for https: browsers then accept the cookie from this
// host only, and only if it is Secure.
func (a *Authenticator) cookieName() string {
	if a.Secure {
		return "__Host-session"
	}
	return "session"
}

// rejectTokenInURL returns status 400 if a query parameter has the name of a token, or is one.
func rejectTokenInURL(u *url.URL) error {
	if u.RawQuery == "" {
		return nil
	}
	// Without url.ParseQuery, which drops a pair with a semicolon or an invalid escape.
	for pair := range strings.FieldsFuncSeq(u.RawQuery, func(r rune) bool { return r == '&' || r == ';' }) {
		name, _, _ := strings.Cut(pair, "=")
		if unescaped, err := url.QueryUnescape(name); err == nil {
			name = unescaped
		}
		_, notToken := hashToken(name)
		if notToken == nil || slices.Contains(tokenParameters, strings.ToLower(name)) {
			return httpserver.StatusError(http.StatusBadRequest,
				"a URL must not have a token, because logs and histories keep URLs; send it as Authorization: Bearer, and end the session that it belongs to")
		}
	}
	return nil
}
