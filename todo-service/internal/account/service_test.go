package account_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/alexedwards/argon2id"
	gocmp "github.com/google/go-cmp/cmp"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/account"
)

func TestCreateStoresTheHashOfThePasswordAndNoMore(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	u, err := f.Create(t.Context(), " Ann@Example.COM\n", password, account.RoleAdmin)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := f.store.Get(t.Context(), u.ID)
	if err != nil {
		t.Fatal(err)
	}
	want := account.User{
		ID: 1, Email: email, PasswordHash: stored.PasswordHash, Role: account.RoleAdmin, AuthVersion: 1, CreatedAt: now.Truncate(1000),
	}
	if diff := gocmp.Diff(want, stored); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(stored.PasswordHash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("the hash is %s", stored.PasswordHash)
	}
	if equal, err := argon2id.ComparePasswordAndHash(password, stored.PasswordHash); !equal || err != nil {
		t.Errorf("the hash is that of another password: %v", err)
	}
}

func TestCreateReportsEveryInvalidFieldAndATakenEmail(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.create(email)
	_, err := f.Create(t.Context(), "ann", "short", account.RoleUser)
	f.wantFields(err, "email", "password")
	_, err = f.Create(t.Context(), "ANN@example.com", password, account.RoleUser)
	f.wantKind(err, apperr.AlreadyExists)
}

func TestSignUpIsCountedBeforeItIsHashed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, err := f.SignUp(t.Context(), email, "short", client)
	f.wantFields(err, "password")
	u, err := f.SignUp(t.Context(), email, password, client)
	if err != nil || u.Role != account.RoleUser {
		t.Errorf("got the role %q, error %v", u.Role, err)
	}
	f.limits.err = apperr.New(apperr.RateLimited, "too many")
	_, err = f.SignUp(t.Context(), "bob@example.com", password, client)
	f.wantKind(err, apperr.RateLimited)
	if diff := gocmp.Diff([]netip.Addr{client, client}, f.limits.signUps, gocmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("counted sign-ups (-want +got):\n%s", diff)
	}
}

func TestSignInStartsASessionForTheRightPassword(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	u := f.create(email)
	composed, decomposed := "caf\u00e9 by the lake", "cafe\u0301 by the lake"
	if _, err := f.SetPassword(t.Context(), u.ID, decomposed); err != nil {
		t.Fatal(err)
	}
	got, session, err := f.SignIn(t.Context(), " ANN@Example.com ", composed, client)
	if err != nil || got.ID != u.ID || session.Token != "token-1" {
		t.Errorf("user %d, session %+v, error %v", got.ID, session, err)
	}
	f.wantSessions(u.ID, "1")
	sum := sha256.Sum256([]byte(email))
	want := []account.Attempt{{Account: hex.EncodeToString(sum[:]), Client: client, ID: "0"}}
	compare := gocmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := gocmp.Diff(want, f.limits.counted, compare); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
	if diff := gocmp.Diff(want, f.limits.succeeded, compare); diff != "" {
		t.Errorf("given back (-want +got):\n%s", diff)
	}
}

func TestSignInHasOneErrorForEveryReason(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.create(email)
	disabled := f.create("disabled@example.com")
	if _, err := f.Disable(t.Context(), disabled.ID); err != nil {
		t.Fatal(err)
	}
	issued, _, err := f.SignInByToken(t.Context(), email, client)
	if err != nil {
		t.Fatal(err)
	}
	first := "" // the message
	for name, c := range map[string]struct{ email, password string }{
		"a wrong password":      {email, password + "!"},
		"an unknown user":       {"bob@example.com", password},
		"a disabled user":       {"disabled@example.com", password},
		"no e-mail":             {"", password},
		"no password":           {email, ""},
		"a malformed e-mail":    {"ann\x00@example.com", password},
		"a long e-mail":         {strings.Repeat("a", 1_000_000) + "@example.com", password},
		"a password of NUL":     {email, "\x00"},
		"a password of no rune": {email, "\xff\xfe"},
		"a password of 1 MB":    {email, strings.Repeat("p", 1_000_000)},
		"a password with more":  {email, password + "\x00"},
		"a user of an issuer":   {issued.Identity.Subject, ""},
	} {
		_, _, err := f.SignIn(t.Context(), c.email, c.password, client)
		f.wantKind(err, apperr.Unauthenticated)
		message := apperr.Of(err).Message
		if first = cmp.Or(first, message); message != first {
			t.Errorf("%s: got %q, want %q as for the others", name, message, first)
		}
	}
	if len(f.limits.succeeded) != 1 || len(f.limits.returned) > 0 {
		t.Error("a failed attempt was given back")
	}
	f.wantSessions(1)
}

func TestSignInOverALimitComparesNoHash(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.create(email)
	for _, kind := range []apperr.Kind{apperr.RateLimited, apperr.Unavailable} {
		f.limits.err = apperr.New(kind, "no")
		_, _, err := f.SignIn(t.Context(), email, password, client)
		f.wantKind(err, kind)
	}
	f.wantSessions(1)
}

func TestAttemptWithoutAnAnswerIsGivenBack(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.create(email)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := f.SignIn(ctx, email, password, client)
	f.wantKind(err, apperr.Unavailable)
	if len(f.limits.returned) != 1 || len(f.limits.succeeded) != 0 {
		t.Errorf("%d attempts were given back, %d as successful ones", len(f.limits.returned), len(f.limits.succeeded))
	}
}

func TestSignInReplacesAHashWithOutdatedParameters(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	u := f.create(email)
	old, err := argon2id.CreateHash(password, &argon2id.Params{Memory: 8 << 10, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.Update(t.Context(), u.ID, func(u *account.User) error {
		u.PasswordHash = old
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // with the old hash, and with the new one
		f.signIn(email, password)
		stored, err := f.store.Get(t.Context(), u.ID)
		if err != nil || !strings.HasPrefix(stored.PasswordHash, "$argon2id$v=19$m=19456,t=2,p=1$") || stored.AuthVersion != 1 {
			t.Errorf("the hash is %s at auth version %d, error %v", stored.PasswordHash, stored.AuthVersion, err)
		}
	}
	_, _, err = f.SignIn(t.Context(), email, password+"!", client)
	f.wantKind(err, apperr.Unauthenticated)
}

func TestIdentityIsOneUserAndNeverThatOfAnEmail(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ann := f.create(email)
	first, session, err := f.SignInByToken(t.Context(), email, client)
	if err != nil || first.ID == ann.ID || first.Email != "" || first.Role != account.RoleUser || session.Token == "" {
		t.Errorf("got %+v and %+v, error %v", first, session, err)
	}
	again, _, err := f.SignInByToken(t.Context(), email, client)
	if err != nil || again.ID != first.ID {
		t.Errorf("the second sign-in is user %d, want %d; error %v", again.ID, first.ID, err)
	}
	if _, err := f.Disable(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	_, _, err = f.SignInByToken(t.Context(), email, client)
	f.wantKind(err, apperr.Unauthenticated)
	f.wantSessions(first.ID)
}

func TestConcurrentSignInsOfAnIdentityMakeOneUser(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ids := make(chan int64)
	const signIns = 20
	for range signIns {
		go func() {
			u, _, err := f.SignInByToken(t.Context(), "7", client)
			if err != nil {
				t.Error(err)
			}
			ids <- u.ID
		}()
	}
	for range signIns {
		if id := <-ids; id != 1 {
			t.Errorf("user %d, want 1", id)
		}
	}
}

func TestSessionIsNotStartedWhenTheUserWasRevokedMeanwhile(t *testing.T) {
	t.Parallel()
	for name, revoke := range map[string]func(fixture) error{
		"a new password": func(f fixture) error { _, err := f.SetPassword(f.Context(), 1, "another long password"); return err },
		"disabled":       func(f fixture) error { _, err := f.Disable(f.Context(), 1); return err },
		"signed out":     func(f fixture) error { return f.SignOutEverywhere(f.Context(), 1) },
	} {
		for _, hook := range []string{"before the session is stored", "after it was stored"} {
			f := newFixture(t)
			f.create(email)
			call := func() {
				f.sessions.onCreate, f.sessions.onStored = nil, nil
				if err := revoke(f); err != nil {
					t.Error(err)
				}
			}
			if hook == "after it was stored" {
				f.sessions.onStored = call
			} else {
				f.sessions.onCreate = call
			}
			_, session, err := f.SignIn(t.Context(), email, password, client)
			f.wantKind(err, apperr.Unauthenticated)
			if session != (account.Session{}) {
				t.Errorf("%s, %s: got a session", name, hook)
			}
			f.wantSessions(1)
		}
	}
}

func TestSignInFailsWhileSessionsCannotBeStored(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.create(email)
	f.sessions.away = true
	_, _, err := f.SignIn(t.Context(), email, password, client)
	if !errors.Is(err, errAway) {
		t.Errorf("got %v", err)
	}
}

func TestTokensAreCountedByAddress(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, _, err := f.SignInByToken(t.Context(), "", client)
	f.wantKind(err, apperr.Unauthenticated)
	if _, _, err = f.SignInByToken(t.Context(), "7", client); err != nil {
		t.Error(err)
	}
	want := []account.Attempt{{Client: client, ID: "0"}, {Client: client, ID: "1"}}
	compare := gocmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := gocmp.Diff(want, f.limits.counted, compare); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
	if diff := gocmp.Diff(want[1:], f.limits.succeeded, compare); diff != "" {
		t.Errorf("given back (-want +got):\n%s", diff)
	}
	f.limits.err = apperr.New(apperr.RateLimited, "too many")
	_, _, err = f.SignInByToken(t.Context(), "7", client)
	f.wantKind(err, apperr.RateLimited)
}

func TestWithoutAnIssuerNoTokenIsValid(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Verify = nil
	_, _, err := f.SignInByToken(t.Context(), "7", client)
	f.wantKind(err, apperr.Unauthenticated)
}
