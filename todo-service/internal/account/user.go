// Package account implements users and the rules of signing in: e-mails, passwords, hashes,
// attempts, and the revocation of sessions. PostgreSQL is the truth about users, the
// session store about their sessions.
//
//	sign-in   count the attempt ─> compare the hash ─> store a session ─> read the user again
//	revoke    raise the user's auth version ─> delete the sessions
//
// A revocation and a sign-in may overlap. Either the sign-in finds the auth version raised
// and deletes its own session, or the revocation deletes that session.
package account

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"example.com/todo/platform/apperr"
)

// Role says what a user may do.
type Role string

// The roles.
const (
	RoleUser  Role = "user"  // works on its own tasks
	RoleAdmin Role = "admin" // also sees the statistics of all users
)

// Identity is a user's name at an OIDC issuer. The zero value means none.
type Identity struct {
	Issuer  string
	Subject string
}

// User is a user. It has either an e-mail with a password, or an identity.
type User struct {
	ID           int64
	Email        string // normalised, see NormalizeEmail; "" for a user with an identity
	PasswordHash string // in the format of Argon2's reference implementation
	Identity     Identity
	Role         Role
	Disabled     bool  // may not sign in
	AuthVersion  int64 // grows with each revocation of the user's sessions
	CreatedAt    time.Time
}

// MaxList is the greatest number of users that List returns.
const MaxList = 1000

// Store is the repository of users. Its methods return NotFoundError for an unknown user.
type Store interface {
	// Create stores a new user under a new id, at auth version 1, and returns it. If
	// another user has the e-mail or the identity, the error is TakenError.
	Create(ctx context.Context, u User) (User, error)
	// Get returns the user.
	Get(ctx context.Context, id int64) (User, error)
	// FindByEmail returns the user with the normalised e-mail.
	FindByEmail(ctx context.Context, email string) (User, error)
	// FindByIdentity returns the user with the identity.
	FindByIdentity(ctx context.Context, identity Identity) (User, error)
	// Update loads the user, calls change on it, and stores password hash, role, disabled
	// and auth version, in one transaction. An error of change changes nothing.
	Update(ctx context.Context, id int64, change func(*User) error) (User, error)
	// List returns users with an id greater than after, in the order of the ids, at most
	// limit, which is positive.
	List(ctx context.Context, after int64, limit int) ([]User, error)
}

// NotFoundError returns the error of every store for a user that does not exist.
func NotFoundError() error { return apperr.New(apperr.NotFound, "there is no such user") }

// TakenError returns the error of every store for an e-mail or identity of another user.
func TakenError() error {
	return apperr.New(apperr.AlreadyExists, "a user with this e-mail exists already")
}

// InvalidCredentialsError returns the error of a sign-in. A client gets the same one for
// every reason; cause is for the log.
func InvalidCredentialsError(cause error) error {
	return apperr.New(apperr.Unauthenticated, "these credentials are not valid").WithCause(cause)
}

var (
	errWrongPassword = errors.New("there is no such user, or the password is another")
	errDisabled      = errors.New("the user is disabled")
	errRevoked       = errors.New("the user's sessions were ended meanwhile")
	errNoIssuer      = errors.New("no issuer of tokens is configured")
)

func hasKind(err error, kind apperr.Kind) bool { return err != nil && apperr.Of(err).Kind == kind }

// attemptKey returns the name under which the sign-in attempts of an account are counted,
// whether or not the account exists: the SHA-256 of its e-mail in hex.
func attemptKey(email string) string {
	sum := sha256.Sum256([]byte(email))
	return hex.EncodeToString(sum[:])
}
