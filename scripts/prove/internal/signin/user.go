// Package signin implements the users of a run, each with a session that its clients share.
package signin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// User is a user of todo-service. It is safe for concurrent use. A nil *User stands for clients
// that do not sign in.
type User struct {
	email, password string
	signingIn       chan struct{} // has a value while one client signs in; the others wait for it

	mu      sync.Mutex
	id      int64
	token   string // "" without a session
	signIns []history.SignIn
}

// NewUser returns a user that has not signed in.
func NewUser(email, password string) *User {
	return &User{email: email, password: password, signingIn: make(chan struct{}, 1)}
}

// ID returns the user's id, 0 before the first sign-in.
func (u *User) ID() int64 {
	if u == nil {
		return 0
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.id
}

// Token returns the token of the session. Without a session it signs in at addr, the HTTP address
// of a replica of todo-service. Of a nil *User the token is "".
func (u *User) Token(ctx context.Context, addr string) (string, error) {
	if u == nil {
		return "", nil
	}
	if token := u.currentToken(); token != "" {
		return token, nil
	}
	select {
	case u.signingIn <- struct{}{}:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	defer func() { <-u.signingIn }()
	if token := u.currentToken(); token != "" { // of the client that signed in meanwhile
		return token, nil
	}
	return u.signIn(ctx, addr)
}

// Forget drops a token that was refused. The next call of Token signs in, unless a client has
// done so since.
func (u *User) Forget(token string) {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.token == token {
		u.token = ""
	}
}

// SignIns returns the successful sign-ins.
func (u *User) SignIns() []history.SignIn {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.signIns
}

func (u *User) currentToken() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.token
}

func (u *User) signIn(ctx context.Context, addr string) (string, error) {
	began := time.Now()
	body, err := json.Marshal(map[string]string{"email": u.email, "password": u.password})
	if err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/sessions", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var session struct {
		Token string
		User  struct{ ID int64 }
	}
	if response.StatusCode != http.StatusCreated {
		return "", fmt.Errorf("sign in as %s: %s", u.email, response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(&session); err != nil {
		return "", fmt.Errorf("sign in as %s: %w", u.email, err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.id, u.token = session.User.ID, session.Token
	u.signIns = append(u.signIns, history.SignIn{User: u.id, Began: began, Ended: time.Now()})
	return u.token, nil
}
