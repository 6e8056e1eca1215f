package httpapi

import (
	"context"
	"errors"
	"net/http"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/httpserver"
	"example.com/todo/platform/session"
)

// authenticate passes requests with a session, and those that need none. It counts each
// request against the rate limit of its user or, without one, of its client's address.
// Every response has the headers of that decision.
func (a *api) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		needsSession := !isOpen(r)
		if needsSession {
			markPersonal(w.Header())
		}
		token, tokenErr := a.SignIn.Credentials.Token(r)
		if !needsSession {
			token = ""
			if hasKind(tokenErr, apperr.Unauthenticated) {
				tokenErr = nil
			}
		}
		ctx, decision, sessionErr := a.SignIn.Authenticate(r.Context(), token, a.ClientIP(r), readsCachedList(r))
		decision.SetHeaders(w.Header())
		err := decision.Err()
		if err == nil {
			err = tokenErr
		}
		if err == nil {
			err = sessionErr
		}
		if err == nil && needsSession {
			err = requireUser(ctx)
		}
		if err != nil {
			httpserver.WriteProblem(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

var errNoUser = errors.New("a session was checked and has no user")

// requireUser returns apperr.Unauthenticated unless ctx has a user. Whatever went before,
// no request without one passes.
func requireUser(ctx context.Context) error {
	if session.UserFrom(ctx).ID > 0 {
		return nil
	}
	return apperr.New(apperr.Unauthenticated, "the request has no valid session; sign in").WithCause(errNoUser)
}

// markPersonal forbids caches to give the response to another client.
func markPersonal(header http.Header) {
	header.Set("Cache-Control", "private, no-cache")
	header.Add("Vary", "Authorization, Cookie")
}

func hasKind(err error, kind apperr.Kind) bool { return err != nil && apperr.Of(err).Kind == kind }
