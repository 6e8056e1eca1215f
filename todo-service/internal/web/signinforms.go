package web

import (
	"context"
	"net/http"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/httpserver"
	"example.com/todo/platform/session"
)

// signIn starts a session, ends the one that the browser came with, and shows the tasks.
func (p *page) signIn(w http.ResponseWriter, r *http.Request) {
	if !p.readForm(w, r) {
		return
	}
	err := p.countByAddress(w, r)
	if err == nil {
		err = p.startSession(w, r)
	}
	if err != nil {
		p.writeSignInFailure(w, r, err, signInDocument{}, "Not signed in")
		return
	}
	showList(w, r)
}

// startSession starts a session for the e-mail and the password of the form.
func (p *page) startSession(w http.ResponseWriter, r *http.Request) error {
	accounts, credentials := p.SignIn.Accounts, p.SignIn.Credentials
	u, started, err := accounts.SignIn(r.Context(), r.PostForm.Get("email"), r.PostForm.Get("password"), p.ClientIP(r))
	if err != nil {
		return err
	}
	if err := p.endSession(r); err != nil {
		_ = accounts.SignOut(context.WithoutCancel(r.Context()), u.ID, started.ID) // no browser gets its token
		return err
	}
	http.SetCookie(w, credentials.Cookie(started.Token, p.SignIn.CookieAge))
	return nil
}

// endSession ends the session that the browser came with, if there is one.
func (p *page) endSession(r *http.Request) error {
	token, err := p.SignIn.Credentials.Token(r)
	if err != nil {
		return unlessEnded(err)
	}
	former, err := p.SignIn.Credentials.Check(r.Context(), token)
	if err != nil {
		return unlessEnded(err)
	}
	return unlessEnded(p.SignIn.Accounts.SignOut(r.Context(), former.User.ID, former.ID))
}

// unlessEnded returns err unless it says that there is no such session.
func unlessEnded(err error) error {
	if err != nil {
		switch apperr.Of(err).Kind {
		case apperr.Unauthenticated, apperr.NotFound:
			return nil
		}
	}
	return err
}

// showSignUp writes the form for signing up.
func (p *page) showSignUp(w http.ResponseWriter, r *http.Request) {
	if !p.SignIn.SignUpOpen {
		p.showListInstead(w, r)
		return
	}
	p.writeSignIn(w, r, http.StatusOK, signInDocument{SignsUp: true})
}

// signUp makes a user, and signs it in.
func (p *page) signUp(w http.ResponseWriter, r *http.Request) {
	if !p.SignIn.SignUpOpen {
		httpserver.WriteProblem(w, r, httpserver.StatusError(http.StatusNotFound, "there is nothing at this address"))
		return
	}
	if !p.readForm(w, r) {
		return
	}
	err := p.countByAddress(w, r)
	if err == nil {
		_, err = p.SignIn.Accounts.SignUp(r.Context(), r.PostForm.Get("email"), r.PostForm.Get("password"), p.ClientIP(r))
	}
	if err != nil {
		p.writeSignInFailure(w, r, err, signInDocument{SignsUp: true}, "Not signed up")
		return
	}
	if err := p.startSession(w, r); err != nil {
		// The user is there. The list is then the form for signing in.
		p.Log.WarnContext(r.Context(), "the page did not sign a new user in", "error", err)
	}
	showList(w, r)
}

// writeSignInFailure writes the form of d again, with the e-mail that it had, and
// with what was typed into the form that led to it.
func (p *page) writeSignInFailure(w http.ResponseWriter, r *http.Request, err error, d signInDocument, heading string) {
	status, f := p.describeLoadFailure(r, err, heading)
	f.Reload = "" // the form is there
	switch apperr.Of(err).Kind {
	case apperr.Unauthenticated:
		f.Message = "The e-mail or the password is not right."
	case apperr.Invalid:
		f.Message, f.Hint = "Correct what is marked, and send it again.", ""
		d.Problems.Email, d.Problems.Password = fieldProblem(err, "email"), fieldProblem(err, "password")
	case apperr.AlreadyExists:
		f.Message, f.Hint = "Correct what is marked, and send it again.", ""
		d.Problems.Email = "belongs to an account already"
	}
	d.Email, d.Typed, d.List, d.Failure = r.PostForm.Get("email"), r.PostForm.Get("typed"), parseSelection(r.PostForm.Get("list")), &f
	p.writeSignIn(w, r, status, d)
}

// signOut ends the session that the browser came with. If it cannot be ended, the cookie
// stays, so that the form can be sent again.
func (p *page) signOut(w http.ResponseWriter, r *http.Request) {
	if !p.readForm(w, r) {
		return
	}
	admitted, err := p.admit(w, r)
	if err == nil {
		err = p.endOwnSession(admitted)
	}
	if err := unlessEnded(err); err != nil {
		p.writeErrorNotice(w, admitted, err, notice{Heading: "Not signed out"})
		return
	}
	p.forgetSession(w)
	showList(w, r)
}

func (p *page) endOwnSession(r *http.Request) error {
	current := session.From(r.Context())
	return p.SignIn.Accounts.SignOut(r.Context(), current.User.ID, current.ID)
}

// forgetSession deletes the cookie. The browser keeps nothing else to clear: documents are
// no-store, and storage has the colours and, for the tab, an unsent title of its user.
func (p *page) forgetSession(w http.ResponseWriter) {
	http.SetCookie(w, p.SignIn.Credentials.Cookie("", 0))
}

// showList leads to the list, with the selection of the form.
func showList(w http.ResponseWriter, r *http.Request) {
	address := parseSelection(r.PostForm.Get("list")).Address()
	http.Redirect(w, r, address, http.StatusSeeOther) //nolint:gosec // the address is "/" with known parameters
}
