package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"example.com/todo/scripts/internal/poll"
)

// user is a user with a session. Without sign-in there is only the zero user, whose tasks are those of all clients.
type user struct {
	id              int64
	email, password string
	token           string
}

// header returns the headers that authenticate requests of the user.
func (u user) header() []string {
	if u.token == "" {
		return nil
	}
	return []string{"Authorization", "Bearer " + u.token}
}

// listKey returns the Redis key of the user's cached list.
func (u user) listKey() string {
	if u.id == 0 {
		return "tasks:all"
	}
	return fmt.Sprintf("tasks:all:%d", u.id)
}

// limitKey returns the Redis key that counts the user's requests from an address.
func (u user) limitKey(addr string) string {
	if u.id == 0 {
		return "ratelimit:" + addr
	}
	return fmt.Sprintf("ratelimit:user:%d", u.id)
}

// A request waits 40 ms for the check of its session. On a busy machine that may be too short: the answer then says this,
// and the request may be repeated.
const uncheckedSession = "sessions are unavailable"

func isUnchecked(a answer) bool {
	return a.status == http.StatusServiceUnavailable && bytes.Contains(a.body, []byte(uncheckedSession))
}

// repeatWhile calls send while it returns true, but not for longer than sessions may be unavailable after an outage.
func repeatWhile(t *testing.T, send func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), sessionReturn)
	defer cancel()
	_ = poll.Until(ctx, func() error { // the caller checks the last answer
		if send() {
			return errors.New("once more")
		}
		return nil
	})
}

// user returns the user of the test, who signs up at the first call. A test with its subtests has one user: it sees only
// its own tasks, and has a rate limit of its own.
func (a *access) user(t *testing.T) user {
	t.Helper()
	if !secure {
		return user{}
	}
	test, _, _ := strings.Cut(t.Name(), "/")
	u, found := a.users[test]
	if !found {
		u = a.signUp(t)
		a.users[test] = u
	}
	return u
}

// signUp returns a new user.
func (a *access) signUp(t *testing.T) user {
	t.Helper()
	email, password := newCredentials()
	signedUp := a.postCredentials(t, "/users", email, password)
	if signedUp.status != http.StatusCreated {
		t.Fatalf("signing up: status %d: %s", signedUp.status, signedUp.body)
	}
	return a.signIn(t, email, password)
}

func newCredentials() (email, password string) {
	return uuid.NewString() + "@example.com", uuid.NewString()
}

// signIn returns the user with a new session.
func (a *access) signIn(t *testing.T, email, password string) user {
	t.Helper()
	session := decode[struct {
		Token string `json:"token"`
		User  struct {
			ID int64 `json:"id"`
		} `json:"user"`
	}](t, a.postCredentials(t, "/sessions", email, password), http.StatusCreated)
	return user{id: session.User.ID, email: email, password: password, token: session.Token}
}

// postCredentials signs up or in, also again after 503: Redis also counts the attempts within 40 ms.
func (a *access) postCredentials(t *testing.T, path, email, password string) answer {
	t.Helper()
	var answered answer
	repeatWhile(t, func() bool {
		answered = request(t, a.http, http.MethodPost, a.url("TODO_HTTP_ADDR", path), fmt.Sprintf(`{"email":%q,"password":%q}`, email, password),
			"X-Forwarded-For", unseenAddr())
		return answered.status == http.StatusServiceUnavailable
	})
	return answered
}

// admin returns the user of all tests who may read the statistics of all users.
func (a *access) admin(t *testing.T) user {
	t.Helper()
	if !secure {
		return user{}
	}
	u, found := a.users["admin"]
	if !found {
		email, password := newCredentials()
		a.runUsers(t, password, "create", "--email", email, "--admin")
		u = a.signIn(t, email, password)
		a.users["admin"] = u
	}
	return u
}

// runUsers runs the command users of todo-service.
func (a *access) runUsers(t *testing.T, input string, args ...string) {
	t.Helper()
	cmd := a.command(t.Context(), "todo-service", append([]string{"users"}, args...)...)
	cmd.Stdin = strings.NewReader(input + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("users %v: %v\n%s", args, err, out)
	}
}
