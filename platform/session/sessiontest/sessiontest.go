// Package sessiontest implements the access matrix of a service with sign-in: it knows the kinds of clients, and what
// each of them must get from each class of route.
//
//	                                        Open  Personal  Owned  AdminOnly
//	no token, a JWT, an ended session       2xx   401       401    401
//	the owner, by header or cookie          2xx   2xx       2xx    403
//	another user                            2xx   2xx       404    403
//	an administrator, not the owner         2xx   2xx       404    2xx
//	a change by a cookie of another origin  403   403       403    403
//	a token in the URL                      400   400       400    400
package sessiontest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Access says which clients a route serves.
type Access int

// The classes of routes.
const (
	Open      Access = iota // for every client
	Personal                // for every user: the response is about that user
	Owned                   // for the user to which the thing in the path belongs; for others it does not exist
	AdminOnly               // for users of the role admin
)

// Credential is what a client has.
type Credential int

// The credentials. Those that are no session give access to nothing but open routes.
const (
	Nothing    Credential = iota
	OfOwner               // the token of a session of the owner
	OfOther               // of another user
	OfAdmin               // of an administrator, which is another user
	OfDisabled            // of a session of a user that was disabled afterwards
	Expired               // of a session of the owner that is older than it may be
	Revoked               // of a session of the owner that was revoked
	JWT                   // a valid token of an issuer
)

// Client is a kind of client: its credential, and how it sends that.
type Client struct {
	Name       string
	Credential Credential

	place  string // of the token: "header", "cookie" or "query"
	header map[string]string
}

// Clients returns all kinds of clients.
func Clients() []Client {
	const header, cookie, query = "header", "cookie", "query"
	return []Client{
		{"no token", Nothing, "", nil},
		{"the owner", OfOwner, header, nil},
		{"another user", OfOther, header, nil},
		{"an administrator", OfAdmin, header, nil},
		{"a disabled user", OfDisabled, header, nil},
		{"an expired session", Expired, header, nil},
		{"a revoked session", Revoked, header, nil},
		{"a JWT", JWT, header, nil},
		{"a token in the query", OfOwner, query, nil},
		{"a cookie without an origin", OfOwner, cookie, nil},
		{"a cookie of this origin", OfOwner, cookie, map[string]string{"Sec-Fetch-Site": "same-origin"}},
		{"a cookie of another site", OfOwner, cookie, map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": foreign}},
		{"a cookie with a foreign origin", OfOwner, cookie, map[string]string{"Origin": foreign}},
	}
}

const foreign = "https://evil.example"

// SetCredential adds the token of the client's credential, and the headers of its browser.
func (c Client) SetCredential(r *http.Request, token string) {
	switch c.place {
	case "header":
		r.Header.Set("Authorization", "Bearer "+token)
	case "cookie":
		r.Header.Set("Cookie", "session="+token)
	case "query":
		query := r.URL.Query()
		query.Set("access_token", token)
		r.URL.RawQuery = query.Encode()
	}
	for name, value := range c.header {
		r.Header.Set(name, value)
	}
}

// UsesHeader reports whether the client sends its token in the header Authorization, as gRPC clients do in the
// metadata, or has none.
func (c Client) UsesHeader() bool { return c.place == "header" || c.Credential == Nothing }

// isForeign reports whether the request comes from a page of another origin.
func (c Client) isForeign() bool { return c.header["Origin"] == foreign }

// WantStatus returns the status of the response to a request. 200 stands for every successful one.
func (c Client) WantStatus(access Access, method string) int {
	changes := method != http.MethodGet && method != http.MethodHead
	isSession := c.Credential == OfOwner || c.Credential == OfOther || c.Credential == OfAdmin
	switch {
	case c.place == "query":
		return http.StatusBadRequest
	case changes && c.isForeign():
		return http.StatusForbidden
	case access == Open:
		return http.StatusOK
	case !isSession:
		return http.StatusUnauthorized
	case access == Owned && c.Credential != OfOwner:
		return http.StatusNotFound
	case access == AdminOnly && c.Credential != OfAdmin:
		return http.StatusForbidden
	}
	return http.StatusOK
}

// Check returns how the response is other than the client must get it, or nil. The body must not have any of the
// secrets.
func (c Client) Check(access Access, response *http.Response, body string, secrets ...string) error {
	var errs []error
	report := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	header, got, want := response.Header, response.StatusCode, c.WantStatus(access, response.Request.Method)
	if isSuccess := got >= 200 && got < 400; got != want && (!isSuccess || want != http.StatusOK) {
		report("status %d, want %d: %.300s", got, want, body)
	}
	if challenge := header.Get("WWW-Authenticate"); (challenge == "Bearer") != (got == http.StatusUnauthorized) {
		report("WWW-Authenticate is %q", challenge)
	}
	if vary := strings.Join(header.Values("Vary"), ", "); access != Open && got != http.StatusBadRequest &&
		(!isPersonal(header.Get("Cache-Control")) || !strings.Contains(vary, "Authorization, Cookie")) {
		report("Cache-Control is %q and Vary %q", header.Get("Cache-Control"), vary)
	}
	for _, name := range []string{"Set-Cookie", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"} {
		if values := header.Values(name); len(values) > 0 {
			report("%s is %q", name, values)
		}
	}
	for _, secret := range secrets {
		if strings.Contains(body, secret) {
			report("the body has %q", secret)
		}
	}
	return errors.Join(errs...)
}

// isPersonal reports whether no cache gives the response to another client. Documents may not be stored at all.
func isPersonal(control string) bool {
	return control == "private, no-cache" || control == "private, no-store"
}
