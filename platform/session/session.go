package session

import (
	"context"
	"time"
)

// User is a signed-in user. The zero User means that no user has signed in.
type User struct {
	ID   int64
	Role string
}

// Session is one sign-in of a user.
type Session struct {
	ID        string // random, not the token: it identifies the session to its user
	User      User
	CreatedAt time.Time
	LastSeen  time.Time // accurate to a minute
	ExpiresAt time.Time // unless the session is used before

	key string // of the session in Redis; empty in a List
}

type contextKey struct{}

// WithSession returns a context that has s. Authenticator calls it.
func WithSession(ctx context.Context, s Session) context.Context {
	return context.WithValue(ctx, contextKey{}, s)
}

// From returns the session of a context, or the zero Session.
func From(ctx context.Context) Session {
	s, _ := ctx.Value(contextKey{}).(Session)
	return s
}

// UserFrom returns the signed-in user of a context, or the zero User.
func UserFrom(ctx context.Context) User { return From(ctx).User }
