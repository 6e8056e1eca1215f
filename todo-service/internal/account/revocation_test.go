package account_test

import (
	"testing"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/account"
)

const newPassword = "three blind mice run"

func TestChangePasswordEndsTheOtherSessions(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	u := f.create(email)
	f.signIn(email, password)
	kept := f.signIn(email, password)
	change := account.PasswordChange{Current: password, New: newPassword, Client: client, Session: kept.ID}
	if _, err := f.ChangePassword(t.Context(), u.ID, change); err != nil {
		t.Fatal(err)
	}
	f.wantSessions(u.ID, kept.ID)
	if stored, _ := f.Get(t.Context(), u.ID); stored.AuthVersion != 2 {
		t.Errorf("the auth version is %d, want 2", stored.AuthVersion)
	}
	_, _, err := f.SignIn(t.Context(), email, password, client)
	f.wantKind(err, apperr.Unauthenticated)
	f.signIn(email, newPassword)
}

func TestChangePasswordNeedsTheCurrentOneAndAValidNewOne(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	u := f.create(email)
	session := f.signIn(email, password)
	counted := len(f.limits.counted)
	for _, c := range []struct{ current, next, field string }{
		{password, "short", "password"}, {password + "!", newPassword, "current_password"}, {"", newPassword, "current_password"},
	} {
		_, err := f.ChangePassword(t.Context(), u.ID, account.PasswordChange{Current: c.current, New: c.next, Client: client})
		f.wantFields(err, c.field)
	}
	if got := len(f.limits.counted) - counted; got != 4 || len(f.limits.succeeded) != 1 {
		t.Errorf("%d guesses were counted, want 4, two of each change; %d attempts succeeded, want 1", got, len(f.limits.succeeded))
	}
	f.limits.err = apperr.New(apperr.RateLimited, "too many")
	_, err := f.ChangePassword(t.Context(), u.ID, account.PasswordChange{Current: password, New: newPassword, Client: client})
	f.wantKind(err, apperr.RateLimited)
	f.limits.err = nil
	f.signIn(email, password)
	f.wantSessions(u.ID, session.ID, "2")
}

func TestChangePasswordIsRepeatedAfterSessionsCouldNotBeEnded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	u := f.create(email)
	f.signIn(email, password)
	kept := f.signIn(email, password)
	change := account.PasswordChange{Current: password, New: newPassword, Client: client, Session: kept.ID}
	f.sessions.away = true
	_, err := f.ChangePassword(t.Context(), u.ID, change)
	f.wantKind(err, apperr.Unavailable)
	f.sessions.away = false
	if _, err := f.ChangePassword(t.Context(), u.ID, change); err != nil {
		t.Errorf("the same request again: %v", err)
	}
	f.wantSessions(u.ID, kept.ID)
}

func TestUserOfAnIssuerHasNoPassword(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	u, _, err := f.SignInByToken(t.Context(), "7", client)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.ChangePassword(t.Context(), u.ID, account.PasswordChange{New: newPassword, Client: client})
	f.wantKind(err, apperr.PermissionDenied)
	_, err = f.SetPassword(t.Context(), u.ID, newPassword)
	f.wantKind(err, apperr.PermissionDenied)
}

func TestRevocationEndsAllSessionsAndCanBeRepeated(t *testing.T) {
	t.Parallel()
	for name, revoke := range map[string]func(fixture) error{
		"SetPassword":       func(f fixture) error { _, err := f.SetPassword(f.Context(), 1, newPassword); return err },
		"Disable":           func(f fixture) error { _, err := f.Disable(f.Context(), 1); return err },
		"SignOutEverywhere": func(f fixture) error { return f.SignOutEverywhere(f.Context(), 1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			u, other := f.create(email), f.create("bob@example.com")
			f.signIn(email, password)
			f.signIn(email, password)
			kept := f.signIn("bob@example.com", password)
			f.sessions.away = true
			f.wantKind(revoke(f), apperr.Unavailable)
			if stored, _ := f.Get(t.Context(), u.ID); stored.AuthVersion != 2 {
				t.Errorf("the auth version is %d before the sessions end, want 2", stored.AuthVersion)
			}
			f.sessions.away = false
			if err := revoke(f); err != nil {
				t.Error(err)
			}
			f.wantSessions(u.ID)
			f.wantSessions(other.ID, kept.ID)
		})
	}
}

func TestEnabledUserSignsInAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	u := f.create(email)
	if _, err := f.Disable(t.Context(), u.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Enable(t.Context(), u.ID); err != nil {
		t.Fatal(err)
	}
	f.signIn(email, password)
}

func TestSignOutEndsOneSession(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	u, other := f.create(email), f.create("bob@example.com")
	first, second := f.signIn(email, password), f.signIn("bob@example.com", password)
	f.wantKind(f.SignOut(t.Context(), u.ID, second.ID), apperr.NotFound)
	f.wantSessions(other.ID, second.ID)
	if err := f.SignOut(t.Context(), u.ID, first.ID); err != nil {
		t.Error(err)
	}
	f.wantSessions(u.ID)
}
