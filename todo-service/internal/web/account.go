package web

import (
	"context"
	"net/http"
	"strings"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/session"
	"example.com/todo/todo-service/internal/account"
)

const accountAddress = "/page/account"

// accountMenu is what the list says about its user.
type accountMenu struct {
	UserID    int64
	SessionID string // not the token: it tells the script when another session has begun
	Name      string
	Email     string // "" if it is not known, or if the user has none
}

// newAccountMenu returns the menu without the e-mail, or nil without sign-in.
func (p *page) newAccountMenu(ctx context.Context) *accountMenu {
	if p.SignIn == nil {
		return nil
	}
	current := session.From(ctx)
	return &accountMenu{UserID: current.User.ID, SessionID: current.ID, Name: "Account"}
}

// loadEmail sets the e-mail of the menu, unless it cannot be loaded.
func (p *page) loadEmail(ctx context.Context, menu *accountMenu) {
	if menu == nil {
		return
	}
	u, err := p.SignIn.Accounts.Get(ctx, menu.UserID)
	if err != nil {
		p.Log.WarnContext(ctx, "the page does not have the e-mail of its user", "error", err)
		return
	}
	if name, _, found := strings.Cut(u.Email, "@"); found {
		menu.Name, menu.Email = name, u.Email
	}
}

// accountDocument is the data of the template account.html.
type accountDocument struct {
	Assets          string
	Email           string // "" for a user without a password
	Sessions        []sessionLine
	PasswordChanged bool
	Problems        struct{ Current, New string }
	Failure         *failure
}

// sessionLine is a session in the list of its user.
type sessionLine struct {
	session.Session
	Current bool
}

// showAccount writes the user's sessions, and the form for the password.
func (p *page) showAccount(w http.ResponseWriter, r *http.Request) {
	p.writeAccount(w, r, http.StatusOK, accountDocument{PasswordChanged: r.URL.Query().Get("changed") == "password"})
}

func (p *page) writeAccount(w http.ResponseWriter, r *http.Request, status int, d accountDocument) {
	current := session.From(r.Context())
	u, err := p.SignIn.Accounts.Get(r.Context(), current.User.ID)
	var sessions []session.Session
	if err == nil {
		sessions, err = p.SignIn.ListSessions(r.Context(), current.User.ID)
	}
	if err != nil {
		failed, f := p.describeLoadFailure(r, err, "The account cannot be shown")
		if d.Failure == nil { // otherwise the failure of the form says whether it is to be sent again
			d.Failure, status = &f, failed
		}
		setRetryAfter(w.Header(), d.Failure)
		p.writeNotice(w, r, status, notice{Heading: d.Failure.Heading, Message: d.Failure.Message, Hint: d.Failure.Hint})
		return
	}
	d.Assets, d.Email = p.assets.root, u.Email
	for _, s := range sessions {
		d.Sessions = append(d.Sessions, sessionLine{s, s.ID == current.ID})
	}
	setRetryAfter(w.Header(), d.Failure)
	p.write(w, r, status, p.render("account.html", d), true)
}

// changeAccount returns the handler of a form of the account. apply makes the change and
// leads on.
func changeAccount(apply func(*page, http.ResponseWriter, *http.Request) error) handler {
	return func(p *page, w http.ResponseWriter, r *http.Request) {
		if !p.readForm(w, r) {
			return
		}
		admitted, err := p.admit(w, r)
		if err == nil {
			err = apply(p, w, admitted)
		}
		switch {
		case err == nil:
		case p.lacksUser(admitted.Context()):
			p.refuseWithoutUser(w, admitted, err, "")
		default:
			p.writeAccountFailure(w, admitted, err)
		}
	}
}

func (p *page) writeAccountFailure(w http.ResponseWriter, r *http.Request, err error) {
	status, f := p.describeChangeFailure(r, err)
	d := accountDocument{Failure: &f}
	if apperr.Of(err).Kind == apperr.Invalid {
		f.Message, f.Hint = "Correct what is marked, and send it again.", ""
		d.Problems.Current, d.Problems.New = fieldProblem(err, "current_password"), fieldProblem(err, "password")
	}
	p.writeAccount(w, r, status, d)
}

// changePassword changes the password. This session goes on, and the others end.
func (p *page) changePassword(w http.ResponseWriter, r *http.Request) error {
	current := session.From(r.Context())
	_, err := p.SignIn.Accounts.ChangePassword(r.Context(), current.User.ID, account.PasswordChange{
		Current: r.PostForm.Get("current_password"), New: r.PostForm.Get("password"), Client: p.ClientIP(r), Session: current.ID,
	})
	if err != nil {
		return err
	}
	http.Redirect(w, r, accountAddress+"?changed=password", http.StatusSeeOther)
	return nil
}

// endOneSession ends the session with the id in the path, unless it has ended already.
func (p *page) endOneSession(w http.ResponseWriter, r *http.Request) error {
	if err := unlessEnded(p.SignIn.Accounts.SignOut(r.Context(), session.UserFrom(r.Context()).ID, r.PathValue("id"))); err != nil {
		return err
	}
	http.Redirect(w, r, accountAddress, http.StatusSeeOther)
	return nil
}

func (p *page) signOutEverywhere(w http.ResponseWriter, r *http.Request) error {
	if err := p.SignIn.Accounts.SignOutEverywhere(r.Context(), session.UserFrom(r.Context()).ID); err != nil {
		return err
	}
	p.forgetSession(w)
	showList(w, r)
	return nil
}
