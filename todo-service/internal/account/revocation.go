package account

import (
	"context"
	"errors"
	"net/netip"

	"golang.org/x/text/unicode/norm"

	"example.com/todo/platform/apperr"
)

// PasswordChange is a change of a user's password by that user.
type PasswordChange struct {
	Current string
	New     string
	Client  netip.Addr // counts as one sign-in attempt, or two if the current password is wrong
	Session string     // the id of the session that goes on
}

// ChangePassword changes a password and ends the user's other sessions. It is safe to
// repeat after apperr.Unavailable. The error is apperr.Invalid, with the fields
// current_password and password, or apperr.PermissionDenied for a user without a password.
func (s *Service) ChangePassword(ctx context.Context, id int64, c PasswordChange) (User, error) {
	u, err := s.Store.Get(ctx, id)
	if err != nil {
		return User{}, err
	}
	if u.PasswordHash == "" {
		return User{}, apperr.New(apperr.PermissionDenied, "this account has no password: it signs in through its issuer")
	}
	password, err := normalizePassword(c.New)
	if err != nil {
		return User{}, err
	}
	if err := s.checkCurrentPassword(ctx, u, c.Client, norm.NFC.String(c.Current), password); err != nil {
		return User{}, err
	}
	return s.replacePassword(ctx, u, password, c.Session)
}

// checkCurrentPassword returns nil if the user has the current password, or already has the
// new one: then an earlier attempt stored it and could not end the sessions. Each comparison
// is an attempt, because the client learns whether it has guessed the password.
func (s *Service) checkCurrentPassword(ctx context.Context, u User, client netip.Addr, current, next string) error {
	wrong := apperr.InvalidFields(apperr.Field{Name: "current_password", Problem: "is not the current password"})
	for _, password := range []string{current, next} {
		attempt, err := s.Limits.CountSignIn(ctx, attemptKey(u.Email), client)
		if err != nil {
			return err
		}
		equal, _, err := s.hasher.compare(ctx, password, u.PasswordHash)
		if err == nil && !equal {
			err = wrong
		}
		s.giveBack(ctx, attempt, err)
		if err == nil || !errors.Is(err, wrong) {
			return err
		}
	}
	return wrong
}

// SetPassword gives a user a new password, and ends all its sessions. It is safe to repeat.
// The errors are those of ChangePassword.
func (s *Service) SetPassword(ctx context.Context, id int64, password string) (User, error) {
	u, err := s.Store.Get(ctx, id)
	if err != nil {
		return User{}, err
	}
	if u.Email == "" {
		return User{}, apperr.New(apperr.PermissionDenied, "this account has no password: it signs in through its issuer")
	}
	password, err = normalizePassword(password)
	if err != nil {
		return User{}, err
	}
	return s.replacePassword(ctx, u, password, "")
}

func (s *Service) replacePassword(ctx context.Context, u User, password, keep string) (User, error) {
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return User{}, err
	}
	read := u.PasswordHash
	return s.revoke(ctx, u.ID, keep, func(u *User) error {
		if u.PasswordHash != read {
			return apperr.New(apperr.Unavailable, "the password is being changed by another request; try again")
		}
		u.PasswordHash = hash
		return nil
	})
}

// Disable forbids a user to sign in, and ends all its sessions. It is safe to repeat.
func (s *Service) Disable(ctx context.Context, id int64) (User, error) {
	return s.revoke(ctx, id, "", func(u *User) error {
		u.Disabled = true
		return nil
	})
}

// Enable lets a user sign in again.
func (s *Service) Enable(ctx context.Context, id int64) (User, error) {
	return s.Store.Update(ctx, id, func(u *User) error {
		u.Disabled = false
		return nil
	})
}

// SignOut ends one of the user's sessions, or returns apperr.NotFound.
func (s *Service) SignOut(ctx context.Context, id int64, sessionID string) error {
	return s.Sessions.Revoke(ctx, id, sessionID)
}

// SignOutEverywhere ends all sessions of a user. It is safe to repeat.
func (s *Service) SignOutEverywhere(ctx context.Context, id int64) error {
	_, err := s.revoke(ctx, id, "", func(*User) error { return nil })
	return err
}

// revoke changes the user, raises its auth version, and ends its sessions except one. A
// sign-in that is under way finds the auth version raised and ends its own session.
func (s *Service) revoke(ctx context.Context, id int64, keep string, change func(*User) error) (User, error) {
	u, err := s.Store.Update(ctx, id, func(u *User) error {
		u.AuthVersion++
		return change(u)
	})
	if err != nil {
		return User{}, err
	}
	return u, s.Sessions.RevokeAll(ctx, id, keep)
}
