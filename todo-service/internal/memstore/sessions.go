package memstore

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"slices"
	"sync"
	"time"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/session"
	"example.com/todo/todo-service/internal/account"
)

// SessionStore keeps sessions in memory: it is an account.Sessions, and checks and lists
// sessions as session.Store does. It may be used by several goroutines.
type SessionStore struct {
	created time.Time

	mu       sync.Mutex
	sessions []startedSession // the oldest first
	started  int
}

type startedSession struct {
	token string
	session.Session
}

// NewSessionStore returns an empty store. Its sessions have the ids S1, S2, …; each is
// created at the time, last seen a minute later, and expires after a day.
func NewSessionStore(created time.Time) *SessionStore { return &SessionStore{created: created} }

// Create starts a session.
func (s *SessionStore) Create(_ context.Context, userID int64, role account.Role) (account.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started++
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails
	started := startedSession{base64.RawURLEncoding.EncodeToString(random[:]), session.Session{
		ID: fmt.Sprintf("S%d", s.started), User: session.User{ID: userID, Role: string(role)},
		CreatedAt: s.created, LastSeen: s.created.Add(time.Minute), ExpiresAt: s.created.AddDate(0, 0, 1),
	}}
	s.sessions = append(s.sessions, started)
	return account.Session{ID: started.ID, Token: started.token, ExpiresAt: started.ExpiresAt}, nil
}

// Check returns the session of the token, or apperr.Unauthenticated.
func (s *SessionStore) Check(_ context.Context, token string) (session.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, started := range s.sessions {
		if started.token == token {
			return started.Session, nil
		}
	}
	return session.Session{}, apperr.New(apperr.Unauthenticated, "the request has no valid session; sign in")
}

// List returns the sessions of the user, the newest first.
func (s *SessionStore) List(_ context.Context, userID int64) (sessions []session.Session, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, started := range slices.Backward(s.sessions) {
		if started.User.ID == userID {
			sessions = append(sessions, started.Session)
		}
	}
	return sessions, nil
}

// Revoke ends the session of the user with the id, or returns apperr.NotFound.
func (s *SessionStore) Revoke(_ context.Context, userID int64, id string) error {
	if s.end(userID, func(started string) bool { return started == id }) == 0 {
		return apperr.New(apperr.NotFound, "no such session")
	}
	return nil
}

// RevokeAll ends the sessions of the user, except the one with the id.
func (s *SessionStore) RevokeAll(_ context.Context, userID int64, except string) error {
	s.end(userID, func(started string) bool { return started != except })
	return nil
}

// end ends the selected sessions of the user, and returns how many these are.
func (s *SessionStore) end(userID int64, selected func(id string) bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.sessions)
	s.sessions = slices.DeleteFunc(s.sessions, func(started startedSession) bool {
		return started.User.ID == userID && selected(started.ID)
	})
	return before - len(s.sessions)
}

// Tokens returns the tokens of all sessions by their ids.
func (s *SessionStore) Tokens() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	tokens := map[string]string{}
	for _, started := range s.sessions {
		tokens[started.ID] = started.token
	}
	return tokens
}
