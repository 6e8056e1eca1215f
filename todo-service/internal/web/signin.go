package web

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/session"
	"example.com/todo/todo-service/internal/account"
	"example.com/todo/todo-service/internal/ratelimit"
)

// SignIn holds the dependencies of sign-in.
type SignIn struct {
	Accounts   *account.Service
	SignUpOpen bool // whether visitors may make users
	// Credentials has the cookie, and checks the session of a document, which is not counted.
	Credentials *session.Authenticator
	// CookieAge is how long a browser keeps the cookie: as long as a session may last.
	CookieAge time.Duration
	// Authenticate returns ctx with the session of the token, unless that is "", and counts
	// the form of the user or, without one, of the client. The error is
	// apperr.Unauthenticated or apperr.Unavailable; the decision is then valid, too.
	Authenticate func(ctx context.Context, token string, client netip.Addr) (context.Context, ratelimit.Decision, error)
	// ListSessions returns the sessions of a user, newest first.
	ListSessions func(ctx context.Context, userID int64) ([]session.Session, error)
}

// forUser returns the handler of a document that show writes for a user. Without a session
// the document has the form for signing in.
func forUser(show handler) handler {
	return func(p *page, w http.ResponseWriter, r *http.Request) {
		if p.SignIn == nil {
			show(p, w, r)
			return
		}
		authenticated, err := p.SignIn.Credentials.Authenticate(w, r)
		if err == nil {
			err = p.requireUser(authenticated.Context())
		}
		switch {
		case err == nil:
			show(p, w, authenticated)
		case apperr.Of(err).Kind == apperr.Unauthenticated:
			ended := len(r.CookiesNamed(p.SignIn.Credentials.Cookie("", 0).Name)) > 0
			p.writeSignIn(w, r, http.StatusOK, signInDocument{List: readSelection(r.URL.Query()), Ended: ended})
		default:
			p.writeErrorNotice(w, r, err, notice{Heading: "The page cannot be shown"})
		}
	}
}

// admit counts a form, as the API counts its requests, and returns the request with its
// session. With an error, too, the request has the session if there is one.
func (p *page) admit(w http.ResponseWriter, r *http.Request) (*http.Request, error) {
	if p.SignIn == nil {
		return r, p.countByAddress(w, r)
	}
	token, tokenErr := p.SignIn.Credentials.Token(r)
	ctx, decision, sessionErr := p.SignIn.Authenticate(r.Context(), token, p.ClientIP(r))
	decision.SetHeaders(w.Header())
	for _, err := range []error{decision.Err(), tokenErr, sessionErr} {
		if err != nil {
			return r.WithContext(ctx), err
		}
	}
	return r.WithContext(ctx), p.requireUser(ctx)
}

func (p *page) countByAddress(w http.ResponseWriter, r *http.Request) error {
	decision := p.Allow(r.Context(), p.ClientIP(r))
	decision.SetHeaders(w.Header())
	return decision.Err()
}

var errNoUser = errors.New("a session was checked and has no user")

// requireUser returns apperr.Unauthenticated if ctx lacks a user. Whatever went before, no
// request without one then reaches the tasks.
func (p *page) requireUser(ctx context.Context) error {
	if p.lacksUser(ctx) {
		return apperr.New(apperr.Unauthenticated, "the request has no valid session; sign in").WithCause(errNoUser)
	}
	return nil
}

// lacksUser reports whether there is sign-in, and ctx has no user.
func (p *page) lacksUser(ctx context.Context) bool {
	return p.SignIn != nil && session.UserFrom(ctx).ID <= 0
}

// refuseWithoutUser writes the response to a form without a session. typed is what the form
// had.
func (p *page) refuseWithoutUser(w http.ResponseWriter, r *http.Request, err error, typed string) {
	if apperr.Of(err).Kind != apperr.Unauthenticated {
		p.writeErrorNotice(w, r, err, notice{Heading: "Not saved", Typed: typed})
		return
	}
	status, f := p.describeChangeFailure(r, err)
	f.Message = "The session has ended, so nothing was changed."
	p.writeSignIn(w, r, status, signInDocument{List: parseSelection(r.PostForm.Get("list")), Failure: &f, Typed: typed})
}

// signInDocument is the data of the template signin.html: the form for signing in, or for
// signing up.
type signInDocument struct {
	Assets     string
	SignsUp    bool
	SignUpOpen bool
	List       selection // that is shown then
	Ended      bool      // the browser came with a session that has ended
	Email      string
	Problems   struct{ Email, Password string }
	Failure    *failure
	Typed      string // what a form had that was not saved, or ""
}

func (p *page) writeSignIn(w http.ResponseWriter, r *http.Request, status int, d signInDocument) {
	d.Assets, d.SignUpOpen = p.assets.root, p.SignIn.SignUpOpen
	setRetryAfter(w.Header(), d.Failure)
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	p.write(w, r, status, p.render("signin.html", d), true)
}
