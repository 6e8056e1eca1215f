package signin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"example.com/todo/scripts/prove/internal/signin"
)

// serve starts a service that signs ann in as user 7, with another token each time, unless respond does
// something else.
func serve(t *testing.T, respond http.HandlerFunc) (addr string, requests *atomic.Int32) {
	t.Helper()
	requests = &atomic.Int32{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := requests.Add(1)
		var body struct{ Email, Password string }
		err := json.NewDecoder(r.Body).Decode(&body)
		switch {
		case err != nil, r.Method+r.URL.Path != "POST/sessions", body.Email != "ann@example.com", body.Password != "secret":
			w.WriteHeader(http.StatusUnauthorized)
		case respond != nil:
			respond(w, r)
		default:
			w.WriteHeader(http.StatusCreated)
			fmt.Fprintf(w, `{"token":"token %d","user":{"id":7}}`, n)
		}
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), requests
}

func TestConcurrentClientsShareOneSignIn(t *testing.T) {
	t.Parallel()
	addr, requests := serve(t, nil)
	user := signin.NewUser("ann@example.com", "secret")
	var clients sync.WaitGroup
	for range 20 {
		clients.Go(func() {
			if token, err := user.Token(t.Context(), addr); err != nil || token != "token 1" {
				t.Errorf("token %q, %v", token, err)
			}
		})
	}
	clients.Wait()
	if user.ID() != 7 || len(user.SignIns()) != 1 || user.SignIns()[0].User != 7 || user.SignIns()[0].Ended.Before(user.SignIns()[0].Began) {
		t.Errorf("user %d, sign-ins %+v", user.ID(), user.SignIns())
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestUserSignsInAgainWhenItsTokenWasRefused(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t, nil)
	user := signin.NewUser("ann@example.com", "secret")
	for _, want := range []string{"token 1", "token 2"} {
		token, err := user.Token(t.Context(), addr)
		if err != nil || token != want {
			t.Errorf("token %q, %v; want %q", token, err, want)
		}
		user.Forget("token 1") // for the second time it is the refusal of an old request
	}
	if token, err := user.Token(t.Context(), addr); err != nil || token != "token 2" {
		t.Errorf("token %q, %v", token, err)
	}
}

func TestFailedSignInIsAnError(t *testing.T) {
	t.Parallel()
	for name, respond := range map[string]http.HandlerFunc{
		"a refusal":              func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"an unreadable response": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) },
		"no response":            func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		addr, _ := serve(t, respond)
		user := signin.NewUser("ann@example.com", "secret")
		if token, err := user.Token(t.Context(), addr); err == nil || token != "" || len(user.SignIns()) > 0 {
			t.Errorf("%s: token %q, %v", name, token, err)
		}
	}
}

func TestClientWaitsForASignInNoLongerThanItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	arrived := make(chan struct{}, 1)
	addr, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
	})
	user := signin.NewUser("ann@example.com", "secret")
	first := make(chan error)
	go func() {
		_, err := user.Token(ctx, addr)
		first <- err
	}()
	<-arrived
	canceled, stop := context.WithCancel(t.Context())
	stop()
	if _, err := user.Token(canceled, addr); !errors.Is(err, context.Canceled) {
		t.Errorf("the waiting client: %v", err)
	}
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the client that signs in: %v", err)
	}
}

func TestWithoutAUserThereIsNoToken(t *testing.T) {
	t.Parallel()
	var none *signin.User
	none.Forget("")
	if token, err := none.Token(t.Context(), "127.0.0.1:1"); token != "" || err != nil || none.ID() != 0 {
		t.Errorf("token %q, %v, user %d", token, err, none.ID())
	}
}
