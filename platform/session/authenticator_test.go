package session_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/metadata"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/httpserver"
	"example.com/todo/platform/session"
)

// Well-formed tokens. Only the first has a session in these tests.
var (
	valid  = strings.Repeat("A", 43)
	others = strings.Repeat("B", 42) + "A"
)

var validSession = session.Session{ID: "S1", User: ann}

// checkValid is the Check of an Authenticator without Redis.
func checkValid(_ context.Context, token string) (session.Session, error) {
	switch token {
	case valid:
		return validSession, nil
	case others:
		return session.Session{}, apperr.New(apperr.Unauthenticated, "the request has no valid session; sign in")
	}
	return session.Session{}, errors.New("a token without the form of one was looked up")
}

// malformed has texts that are no Authorization header.
var malformed = map[string]string{
	"empty":              "",
	"only a scheme":      "Bearer",
	"no token":           "Bearer ",
	"no scheme":          valid,
	"another scheme":     "Basic " + valid,
	"the cookie's form":  "session=" + valid,
	"a short token":      "Bearer " + valid[1:],
	"a long token":       "Bearer " + valid + "A",
	"two tokens":         "Bearer " + valid + " " + valid,
	"a list":             "Bearer " + valid + ", Bearer " + valid,
	"a parameter":        "Bearer token=" + valid,
	"a quoted token":     `Bearer "` + valid + `"`,
	"padding":            "Bearer " + valid + "=",
	"base64":             "Bearer " + valid[1:] + "+",
	"bits beyond 256":    "Bearer " + valid[1:] + "B",
	"a tab":              "Bearer\t" + valid,
	"a trailing space":   "Bearer " + valid + " ",
	"NUL":                "Bearer " + valid[1:] + "\x00",
	"NUL first":          "\x00Bearer " + valid,
	"a line break":       "Bearer " + valid[2:] + "\r\n",
	"invalid UTF-8":      "Bearer " + valid[1:] + "\xff",
	"1 MB":               "Bearer " + strings.Repeat("A", 1<<20),
	"1 MB of spaces":     "Bearer" + strings.Repeat(" ", 1<<20),
	"a JWT":              "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.",
	"without separation": "Bearer" + valid,
}

func TestRequireTakesOneWellFormedToken(t *testing.T) {
	t.Parallel()
	secure := func(a *session.Authenticator) { a.Secure = true }
	type headers = http.Header
	tests := map[string]struct {
		method  string // GET if empty
		target  string
		header  headers
		options []func(*session.Authenticator)
		status  int
	}{
		"a header":                         {header: headers{"Authorization": {"Bearer " + valid}}, status: 200},
		"the scheme in lower case":         {header: headers{"Authorization": {"bearer   " + valid}}, status: 200},
		"a cookie":                         {header: headers{"Cookie": {"a=b; session=" + valid}}, status: 200},
		"a secure cookie":                  {header: headers{"Cookie": {"__Host-session=" + valid}}, options: []func(*session.Authenticator){secure}, status: 200},
		"a header before a cookie":         {header: headers{"Authorization": {"Bearer " + valid}, "Cookie": {"session=" + others}}, status: 200},
		"an unknown header before cookie":  {header: headers{"Authorization": {"Bearer " + others}, "Cookie": {"session=" + valid}}, status: 401},
		"an empty header before a cookie":  {header: headers{"Authorization": {""}, "Cookie": {"session=" + valid}}, status: 401},
		"nothing":                          {status: 401},
		"an unknown token":                 {header: headers{"Authorization": {"Bearer " + others}}, status: 401},
		"two headers":                      {header: headers{"Authorization": {"Bearer " + valid, "Bearer " + valid}}, status: 401},
		"two cookies":                      {header: headers{"Cookie": {"session=" + valid + "; session=" + valid}}, status: 401},
		"cookies in two headers":           {header: headers{"Cookie": {"session=" + valid, "session=" + others}}, status: 401},
		"an empty cookie":                  {header: headers{"Cookie": {"session="}}, status: 401},
		"a malformed cookie":               {header: headers{"Cookie": {"session=" + valid[1:]}}, status: 401},
		"the insecure cookie under TLS":    {header: headers{"Cookie": {"session=" + valid}}, options: []func(*session.Authenticator){secure}, status: 401},
		"the secure cookie without TLS":    {header: headers{"Cookie": {"__Host-session=" + valid}}, status: 401},
		"a proxy's header":                 {header: headers{"Proxy-Authorization": {"Bearer " + valid}}, status: 401},
		"a token in the URL":               {target: "/?access_token=" + valid, status: 400},
		"beside a header":                  {target: "/?a=b&token=x", header: headers{"Authorization": {"Bearer " + valid}}, status: 400},
		"in another case":                  {target: "/?Session=x", status: 400},
		"escaped":                          {target: "/?%74oken=x", status: 400},
		"behind a semicolon":               {target: "/?a=b;jwt=x", status: 400},
		"behind an invalid escape":         {target: "/?a=%zz&id_token", status: 400},
		"the cookie's name":                {target: "/?__Host-session=x", status: 400},
		"a token without a name":           {target: "/?" + valid, header: headers{"Authorization": {"Bearer " + valid}}, status: 400},
		"another parameter":                {target: "/?q=token&tokens=session", header: headers{"Authorization": {"Bearer " + valid}}, status: 200},
		"cookie, change, same origin":      {method: "POST", header: headers{"Cookie": {"session=" + valid}, "Sec-Fetch-Site": {"same-origin"}}, status: 200},
		"cookie, change, no browser":       {method: "DELETE", header: headers{"Cookie": {"session=" + valid}}, status: 200},
		"cookie, change, cross site":       {method: "POST", header: headers{"Cookie": {"session=" + valid}, "Sec-Fetch-Site": {"cross-site"}}, status: 403},
		"cookie, change, same site":        {method: "PATCH", header: headers{"Cookie": {"session=" + valid}, "Sec-Fetch-Site": {"same-site"}}, status: 403},
		"cookie, change, another origin":   {method: "POST", header: headers{"Cookie": {"session=" + valid}, "Origin": {"https://evil.example"}}, status: 403},
		"cookie, change, null origin":      {method: "POST", header: headers{"Cookie": {"session=" + valid}, "Origin": {"null"}}, status: 403},
		"cookie, change, trusted origin":   {method: "POST", header: headers{"Cookie": {"session=" + valid}, "Origin": {"https://app.example"}}, options: []func(*session.Authenticator){trustApp}, status: 200},
		"cookie, change, untrusted origin": {method: "POST", header: headers{"Cookie": {"session=" + valid}, "Origin": {"https://evil.example"}}, options: []func(*session.Authenticator){trustApp}, status: 403},
		"cookie, query, cross site":        {header: headers{"Cookie": {"session=" + valid}, "Sec-Fetch-Site": {"cross-site"}}, status: 200},
		"header, change, cross site":       {method: "POST", header: headers{"Authorization": {"Bearer " + valid}, "Sec-Fetch-Site": {"cross-site"}}, status: 200},
	}
	for name, text := range malformed {
		tests["header: "+name] = tests["nothing"]
		test := tests["header: "+name]
		test.header = headers{"Authorization": {text}, "Cookie": {"session=" + valid}}
		tests["header: "+name] = test
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			auth := &session.Authenticator{Check: checkValid}
			for _, option := range test.options {
				option(auth)
			}
			if test.method == "" {
				test.method = http.MethodGet
			}
			if test.target == "" {
				test.target = "/"
			}
			r := httptest.NewRequest(test.method, test.target, nil)
			r.Header = test.header
			var passed []session.Session
			rec := httptest.NewRecorder()
			auth.Require(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				passed = append(passed, session.From(r.Context()))
			})).ServeHTTP(rec, r)
			if rec.Code != test.status {
				t.Fatalf("got %d: %.200s", rec.Code, rec.Body)
			}
			if test.status == http.StatusOK {
				if diff := cmp.Diff([]session.Session{validSession}, passed, cmp.Comparer(func(a, b session.Session) bool { return a == b })); diff != "" {
					t.Errorf("passed (-want +got):\n%s", diff)
				}
				if got := rec.Header(); got.Get("Cache-Control") != "private, no-cache" || got.Get("Vary") != "Authorization, Cookie" {
					t.Errorf("headers %v", got)
				}
				return
			}
			if len(passed) > 0 {
				t.Error("the request passed")
			}
			if got, want := rec.Header().Get("WWW-Authenticate"), map[int]string{401: "Bearer"}[test.status]; got != want {
				t.Errorf("WWW-Authenticate is %q", got)
			}
			wantCaching := "private, no-cache"
			if test.status == http.StatusBadRequest { // before it is known whether the route needs a session
				wantCaching = "no-store"
			}
			if rec.Header().Get("Cache-Control") != wantCaching || rec.Body.Len() > 500 {
				t.Errorf("%v with %d bytes", rec.Header(), rec.Body.Len())
			}
		})
	}
}

func trustApp(a *session.Authenticator) {
	a.Origins = http.NewCrossOriginProtection()
	if err := a.Origins.AddTrustedOrigin("https://app.example"); err != nil {
		panic(err)
	}
}

func TestEveryRequestWithoutASessionGetsTheSameBody(t *testing.T) {
	t.Parallel()
	auth := &session.Authenticator{Check: checkValid}
	bodies := map[string]string{}
	for name, text := range malformed {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", text)
		rec := httptest.NewRecorder()
		auth.Require(http.NotFoundHandler()).ServeHTTP(rec, r)
		bodies[rec.Body.String()] = name
	}
	if len(bodies) != 1 {
		t.Errorf("the bodies differ: %q", bodies)
	}
}

func TestOpenRequestsPassWithoutASessionButNotWithATokenInTheURL(t *testing.T) {
	t.Parallel()
	auth := &session.Authenticator{
		Check: func(context.Context, string) (session.Session, error) {
			return session.Session{}, errors.New("checked")
		},
		IsOpen: func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Path == "/sessions" },
	}
	for target, want := range map[string]int{"POST /sessions": 204, "GET /sessions": 500, "POST /sessions?token=x": 400, "POST /sessions/1": 500} {
		method, path, _ := strings.Cut(target, " ")
		r := httptest.NewRequest(method, path, nil)
		r.Header.Set("Authorization", "Bearer "+valid)
		rec := httptest.NewRecorder()
		auth.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if session.UserFrom(r.Context()) != (session.User{}) {
				t.Error("an open request has a user that nothing checked")
			}
			w.WriteHeader(http.StatusNoContent)
		})).ServeHTTP(rec, r)
		if rec.Code != want {
			t.Errorf("%s: got %d", target, rec.Code)
		}
	}
}

func TestCallTokenTakesOneWellFormedTokenFromTheMetadata(t *testing.T) {
	t.Parallel()
	auth := &session.Authenticator{Check: checkValid}
	tests := map[string]metadata.MD{
		"nothing":     {},
		"a cookie":    {"cookie": {"session=" + valid}},
		"two headers": {"authorization": {"Bearer " + valid, "Bearer " + valid}},
	}
	for name, text := range malformed {
		tests[name] = metadata.MD{"authorization": {text}}
	}
	for name, md := range tests {
		token, err := auth.CallToken(metadata.NewIncomingContext(t.Context(), md))
		if token != "" || apperr.Of(err).Kind != apperr.Unauthenticated {
			t.Errorf("%s: got %v", name, err)
		}
	}
	token, err := auth.CallToken(metadata.NewIncomingContext(t.Context(), metadata.MD{"authorization": {"Bearer " + valid}}))
	if token != valid || err != nil {
		t.Errorf("got %v", err)
	}
}

func TestCookieIsForTheServerOfThisHostAlone(t *testing.T) {
	t.Parallel()
	plain, secure := &session.Authenticator{}, &session.Authenticator{Secure: true}
	for want, cookie := range map[string]*http.Cookie{
		"session=" + valid + "; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax":                plain.Cookie(valid, time.Hour),
		"__Host-session=" + valid + "; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax": secure.Cookie(valid, time.Hour),
		"session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax":                                plain.Cookie("", time.Hour),
	} {
		if got := cookie.String(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestAuthenticateTellsWhyARequestHasNoSession(t *testing.T) {
	t.Parallel()
	auth := &session.Authenticator{Check: checkValid}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	rec := httptest.NewRecorder()
	if _, err := auth.Authenticate(rec, r); apperr.Of(err).Kind != apperr.Unauthenticated || rec.Header().Get("Vary") == "" {
		t.Errorf("got %v, %v", err, rec.Header())
	}
	r.AddCookie(auth.Cookie(valid, time.Hour))
	authenticated, err := auth.Authenticate(rec, r)
	if err != nil || session.UserFrom(authenticated.Context()) != ann {
		t.Errorf("got %v", err)
	}
}

func FuzzToken(f *testing.F) {
	for _, text := range malformed {
		f.Add(text, "session="+valid, "")
	}
	f.Add("Bearer "+valid, "session="+others, "a=b")
	f.Add("", "session="+valid, "token=x")
	f.Fuzz(func(t *testing.T, header, cookie, query string) {
		auth := &session.Authenticator{Check: checkValid}
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.URL.RawQuery = query
		r.Header["Cookie"] = []string{cookie}
		if header != "" {
			r.Header["Authorization"] = []string{header}
		}
		token, err := auth.Token(r)
		if err != nil {
			if token != "" {
				t.Error("a token beside an error")
			}
			refused := httptest.NewRecorder()
			httpserver.WriteProblem(refused, r, err)
			if refused.Code != 400 && refused.Code != 401 || strings.Contains(refused.Body.String(), valid) || len(err.Error()) > 300 {
				t.Errorf("got %d: %v", refused.Code, err)
			}
			return
		}
		if len(token) != 43 || strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Errorf("%q is no token", token)
		}
		from := cookie
		if header != "" {
			from = header
		}
		if !strings.Contains(from, token) {
			t.Errorf("the token %q is not from %q", token, from)
		}
	})
}
