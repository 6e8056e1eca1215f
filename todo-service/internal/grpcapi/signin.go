package grpcapi

import (
	"context"
	"errors"
	"net/netip"
	"strings"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/session"
	"example.com/todo/todo-service/internal/ratelimit"
)

// SignIn holds the dependencies of sign-in.
type SignIn struct {
	// Credentials extracts the token of a call's session, and ends streams with it.
	Credentials *session.Authenticator
	// Authenticate returns ctx with the session of the token, unless that is "", and counts
	// the call of the user or, without one, of the client. The error is
	// apperr.Unauthenticated or apperr.Unavailable; the decision is then valid, too.
	Authenticate func(ctx context.Context, token string, client netip.Addr) (context.Context, ratelimit.Decision, error)
}

// openService is the prefix of the methods without a session: probes have none.
const openService = "/grpc.health.v1.Health/"

// admit returns ctx with the session of the call. Calls of the health service need none,
// and those of reflection are not counted.
func (s *SignIn) admit(ctx context.Context, method string, client netip.Addr) (context.Context, error) {
	if strings.HasPrefix(method, openService) {
		return ctx, nil
	}
	token, tokenErr := s.Credentials.CallToken(ctx)
	if isUncounted(method) && tokenErr == nil {
		checked, err := s.Credentials.Check(ctx, token)
		return session.WithSession(ctx, checked), err
	}
	ctx, decision, sessionErr := s.Authenticate(ctx, token, client)
	err := decision.Err()
	if err == nil {
		err = tokenErr
	}
	if err == nil {
		err = sessionErr
	}
	if err == nil && session.UserFrom(ctx).ID <= 0 { // whatever went before
		err = apperr.New(apperr.Unauthenticated, "the call has no valid session; sign in")
	}
	return ctx, err
}

// endWithSession calls serve with a context that ends with the session of ctx. If it ended,
// the error says why.
func (s *SignIn) endWithSession(ctx context.Context, serve func(context.Context) error) error {
	watched, stop := s.Credentials.Watcher.Watch(ctx)
	defer stop()
	err := serve(watched)
	// An end of the stream's own context has the same cause in both.
	if reason := context.Cause(watched); reason != nil && !errors.Is(context.Cause(ctx), reason) {
		return reason
	}
	return err
}
