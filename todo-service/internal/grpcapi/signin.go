package grpcapi

import (
	"context"
	"errors"
	"net/netip"

	"google.golang.org/grpc"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/session"
	"example.com/todo/todo-service/internal/ratelimit"
)

// SignIn holds the dependencies of sign-in.
type SignIn struct {
	// Credentials authenticates calls: its Check alone those that are not counted.
	Credentials *session.Authenticator
	// Authenticate returns ctx with the session of the token, and counts the call of the
	// user or, without one, of the client. The error is apperr.Unauthenticated or
	// apperr.Unavailable; the decision is then valid, too.
	Authenticate func(ctx context.Context, token string, client netip.Addr) (context.Context, ratelimit.Decision, error)
}

var errNoUser = errors.New("a session was checked and has no user")

// authenticator has the interceptors of sign-in: they authenticate a call and count it
// against a rate limit. All calls need a session, except those of health.
type authenticator struct {
	server  *Server
	session session.Authenticator
}

func (s *Server) newAuthenticator() *authenticator {
	a := &authenticator{server: s, session: *s.cfg.SignIn.Credentials}
	a.session.Check = a.checkAndCount
	return a
}

func (a *authenticator) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := a.countWithoutToken(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return a.session.Unary(ctx, req, info, next)
}

func (a *authenticator) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := a.countWithoutToken(stream.Context(), info.FullMethod); err != nil {
		return err
	}
	return a.session.Stream(srv, stream, info, next)
}

// countWithoutToken counts a call for which the session is not checked, because it has no
// token of the right form.
func (a *authenticator) countWithoutToken(ctx context.Context, method string) error {
	if _, err := a.session.CallToken(ctx); err == nil {
		return nil
	}
	return a.server.countCall(ctx, method)
}

// checkAndCount returns the session of the token, and counts the call.
func (a *authenticator) checkAndCount(ctx context.Context, token string) (session.Session, error) {
	signIn := a.server.cfg.SignIn
	if method, _ := grpc.Method(ctx); isUncounted(method) {
		return signIn.Credentials.Check(ctx, token)
	}
	ctx, decision, err := signIn.Authenticate(ctx, token, a.server.cfg.ClientIP(ctx))
	if limited := decision.Err(); limited != nil {
		return session.Session{}, limited
	}
	checked := session.From(ctx)
	if err == nil && checked.User.ID <= 0 { // whatever went before, no call without a user passes
		err = apperr.New(apperr.Unauthenticated, "the call has no valid session; sign in").WithCause(errNoUser)
	}
	return checked, err
}
