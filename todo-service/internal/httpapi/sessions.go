package httpapi

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/httpserver"
	"example.com/todo/platform/session"
	"example.com/todo/todo-service/internal/account"
	"example.com/todo/todo-service/internal/ratelimit"
)

// SignIn holds the dependencies of sign-in.
type SignIn struct {
	Accounts   *account.Service
	SignUpOpen bool // whether clients may make users
	// Credentials extracts the token of a request's session, and ends streams with it.
	Credentials *session.Authenticator
	// Authenticate returns ctx with the session of the token, unless that is "", and counts
	// the request of the user or, without one, of the client. It starts the lookup of the
	// user's cached list if prefetchList is set. The error is apperr.Unauthenticated or
	// apperr.Unavailable; the decision is then valid, too.
	Authenticate func(ctx context.Context, token string, client netip.Addr, prefetchList bool) (context.Context, ratelimit.Decision, error)
	// ListSessions returns the sessions of a user, newest first.
	ListSessions func(ctx context.Context, userID int64) ([]session.Session, error)
}

// registerSignIn adds the routes of sessions and users to mux.
func (a *api) registerSignIn(mux *http.ServeMux) {
	mux.Handle("POST /sessions", handler(a.signIn))
	mux.Handle("GET /sessions", handler(a.listSessions))
	mux.Handle("DELETE /sessions", handler(a.signOutEverywhere))
	mux.Handle("DELETE /sessions/{id}", handler(a.signOut))
	if a.SignIn.SignUpOpen {
		mux.Handle("POST /users", handler(a.signUp))
	}
	mux.Handle("GET /users/me", handler(a.getUser))
	mux.Handle("PATCH /users/me", handler(a.changePassword))
}

// isOpen reports whether a request needs no session: signing in, signing up, and reading
// the documents.
func isOpen(r *http.Request) bool {
	switch r.URL.Path {
	case "/sessions", "/users":
		return r.Method == http.MethodPost
	case "/openapi.yaml", "/docs":
		return true
	}
	asset, found := strings.CutPrefix(r.URL.Path, "/docs/")
	return found && !strings.Contains(asset, "/")
}

// newSession is the response to a sign-in.
type newSession struct {
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
	User      struct {
		ID    int64  `json:"id"`
		Email string `json:"email,omitempty"`
	} `json:"user"`
}

// signIn starts a session for the e-mail and password of the body or, without a body, for
// the issuer's token of the header Authorization.
func (a *api) signIn(w http.ResponseWriter, r *http.Request) error {
	u, started, err := a.startSession(w, r)
	if err != nil {
		return err
	}
	response := newSession{Token: started.Token, ExpiresAt: started.ExpiresAt.UTC()}
	response.User.ID, response.User.Email = u.ID, u.Email
	markPersonal(w.Header())
	return writeValue(w, http.StatusCreated, response)
}

func (a *api) startSession(w http.ResponseWriter, r *http.Request) (account.User, account.Session, error) {
	if values := r.Header.Values("Authorization"); len(values) > 0 && !hasBody(r) {
		scheme, token, _ := strings.Cut(values[0], " ")
		if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") {
			token = ""
		}
		return a.SignIn.Accounts.SignInByToken(r.Context(), strings.TrimSpace(token), a.ClientIP(r))
	}
	var body struct {
		Email    string `json:"email"`
		Password string `json:"password"`
	}
	if err := httpserver.ReadJSON(w, r, maxBody, &body); err != nil {
		return account.User{}, account.Session{}, err
	}
	return a.SignIn.Accounts.SignIn(r.Context(), body.Email, body.Password, a.ClientIP(r))
}

// sessionEntry is a session in the list of its user.
type sessionEntry struct {
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"created_at"`
	LastSeen  time.Time `json:"last_seen"`
	ExpiresAt time.Time `json:"expires_at"`
	Current   bool      `json:"current"`
}

func (a *api) listSessions(w http.ResponseWriter, r *http.Request) error {
	current := session.From(r.Context())
	sessions, err := a.SignIn.ListSessions(r.Context(), current.User.ID)
	if err != nil {
		return err
	}
	list := make([]sessionEntry, len(sessions))
	for i, s := range sessions {
		list[i] = sessionEntry{
			ID: s.ID, CreatedAt: s.CreatedAt.UTC(), LastSeen: s.LastSeen.UTC(), ExpiresAt: s.ExpiresAt.UTC(), Current: s.ID == current.ID,
		}
	}
	return writeValue(w, http.StatusOK, list)
}

// signOut ends the session with the id in the path, or the one of the request.
func (a *api) signOut(w http.ResponseWriter, r *http.Request) error {
	if err := readEmptyBody(w, r); err != nil {
		return err
	}
	current, id := session.From(r.Context()), r.PathValue("id")
	if id == "current" {
		id = current.ID
	}
	if err := a.SignIn.Accounts.SignOut(r.Context(), current.User.ID, id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *api) signOutEverywhere(w http.ResponseWriter, r *http.Request) error {
	if err := readEmptyBody(w, r); err != nil {
		return err
	}
	if err := a.SignIn.Accounts.SignOutEverywhere(r.Context(), session.UserFrom(r.Context()).ID); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// userEntry is a user, as that user sees it.
type userEntry struct {
	ID        int64     `json:"id"`
	Email     string    `json:"email,omitempty"`
	Role      string    `json:"role"`
	CreatedAt time.Time `json:"created_at"`
}

func writeUser(w http.ResponseWriter, status int, u account.User) error {
	return writeValue(w, status, userEntry{ID: u.ID, Email: u.Email, Role: string(u.Role), CreatedAt: u.CreatedAt})
}

// signUp makes a user with the e-mail and password of the body.
func (a *api) signUp(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Email    string `json:"email"`
		Password string `json:"password"`
	}
	if err := httpserver.ReadJSON(w, r, maxBody, &body); err != nil {
		return err
	}
	u, err := a.SignIn.Accounts.SignUp(r.Context(), body.Email, body.Password, a.ClientIP(r))
	if err != nil {
		return err
	}
	markPersonal(w.Header())
	return writeUser(w, http.StatusCreated, u)
}

func (a *api) getUser(w http.ResponseWriter, r *http.Request) error {
	u, err := a.SignIn.Accounts.Get(r.Context(), session.UserFrom(r.Context()).ID)
	if err != nil {
		return err
	}
	return writeUser(w, http.StatusOK, u)
}

// changePassword changes the password of the request's user. That session goes on, and the
// others end.
func (a *api) changePassword(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Password        optional[string] `json:"password"`
		CurrentPassword optional[string] `json:"current_password"`
	}
	if err := httpserver.ReadJSON(w, r, maxBody, &body, mergePatch); err != nil {
		return err
	}
	var missing []apperr.Field
	for _, field := range []struct {
		name  string
		value *string
	}{{"password", body.Password.value}, {"current_password", body.CurrentPassword.value}} {
		if field.value == nil {
			missing = append(missing, apperr.Field{Name: field.name, Problem: "must be given"})
		}
	}
	if len(missing) > 0 {
		return apperr.InvalidFields(missing...)
	}
	current := session.From(r.Context())
	u, err := a.SignIn.Accounts.ChangePassword(r.Context(), current.User.ID, account.PasswordChange{
		Current: *body.CurrentPassword.value, New: *body.Password.value, Client: a.ClientIP(r), Session: current.ID,
	})
	if err != nil {
		return err
	}
	return writeUser(w, http.StatusOK, u)
}

// writeValue writes v as JSON.
func writeValue(w http.ResponseWriter, status int, v any) error {
	body, err := encodeJSON(v)
	if err != nil {
		return err
	}
	writeJSON(w, status, body)
	return nil
}
