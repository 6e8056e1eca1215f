package account

import (
	"context"
	"net/netip"
	"time"

	"golang.org/x/text/unicode/norm"

	"example.com/todo/platform/apperr"
)

// Session is a new session of a user.
type Session struct {
	ID        string
	Token     string // the credential, which is stored nowhere
	ExpiresAt time.Time
}

// Sessions stores the sessions of users. While it is away, its errors are
// apperr.Unavailable.
type Sessions interface {
	// Create starts a session.
	Create(ctx context.Context, userID int64, role Role) (Session, error)
	// Revoke ends one of the user's sessions. Without one the error is apperr.NotFound.
	Revoke(ctx context.Context, userID int64, sessionID string) error
	// RevokeAll ends the user's sessions, except the one with the id; "" ends all.
	RevokeAll(ctx context.Context, userID int64, except string) error
}

// Limits counts attempts, in all replicas together. Over a limit the error is
// apperr.RateLimited; while attempts cannot be counted it is apperr.Unavailable.
type Limits interface {
	// CountSignIn counts an attempt on an account from a client's address, or, with account
	// "", from the address alone.
	CountSignIn(ctx context.Context, account string, client netip.Addr) (Attempt, error)
	// GiveBack takes the attempt out of the count. If it succeeded, the address is from
	// then on one from which the account has signed in.
	GiveBack(ctx context.Context, a Attempt, succeeded bool) error
	// CountSignUp counts a sign-up from a client's address.
	CountSignUp(ctx context.Context, client netip.Addr) error
}

// Attempt is a counted sign-in attempt.
type Attempt struct {
	Account string // the SHA-256 of the e-mail, in hex; "" for an attempt with a token
	Client  netip.Addr
	ID      string
}

// Config holds the dependencies of the service.
type Config struct {
	Store    Store
	Sessions Sessions
	Limits   Limits
	// Verify returns the identity that an issuer's token names. An invalid token is an
	// InvalidCredentialsError. It is nil without an issuer.
	Verify func(ctx context.Context, token string) (Identity, error)
	Now    func() time.Time
}

// Service is the application service of users; every transport and command calls it. Its
// methods may be called concurrently.
type Service struct {
	Config
	hasher *hasher
}

// NewService returns the application.
func NewService(cfg Config) (*Service, error) {
	hasher, err := newHasher()
	return &Service{cfg, hasher}, err
}

// Create makes a user with an e-mail and a password. The error is apperr.Invalid, with the
// fields email and password, or apperr.AlreadyExists.
func (s *Service) Create(ctx context.Context, email, password string, role Role) (User, error) {
	u, password, err := s.newUser(email, password, role)
	if err != nil {
		return User{}, err
	}
	return s.store(ctx, u, password)
}

// SignUp is Create for a user of the role RoleUser, on request of a client at an address.
func (s *Service) SignUp(ctx context.Context, email, password string, client netip.Addr) (User, error) {
	u, password, err := s.newUser(email, password, RoleUser)
	if err != nil {
		return User{}, err
	}
	if err := s.Limits.CountSignUp(ctx, client); err != nil {
		return User{}, err
	}
	return s.store(ctx, u, password)
}

func (s *Service) newUser(email, password string, role Role) (u User, normalized string, err error) {
	email, emailErr := NormalizeEmail(email)
	normalized, passwordErr := normalizePassword(password)
	var broken []apperr.Field
	for _, err := range []error{emailErr, passwordErr} {
		if err != nil {
			broken = append(broken, apperr.Of(err).Fields...)
		}
	}
	if len(broken) > 0 {
		return User{}, "", apperr.InvalidFields(broken...)
	}
	return User{Email: email, Role: role, CreatedAt: s.Now().UTC().Truncate(time.Microsecond)}, normalized, nil
}

func (s *Service) store(ctx context.Context, u User, password string) (stored User, err error) {
	if u.PasswordHash, err = s.hasher.hash(ctx, password); err != nil {
		return User{}, err
	}
	return s.Store.Create(ctx, u)
}

// Get returns the user.
func (s *Service) Get(ctx context.Context, id int64) (User, error) { return s.Store.Get(ctx, id) }

// Find returns the user with an e-mail.
func (s *Service) Find(ctx context.Context, email string) (User, error) {
	email, err := NormalizeEmail(email)
	if err != nil {
		return User{}, err
	}
	return s.Store.FindByEmail(ctx, email)
}

// List returns up to MaxList users with an id greater than after, in the order of the ids.
func (s *Service) List(ctx context.Context, after int64) ([]User, error) {
	return s.Store.List(ctx, after, MaxList)
}

// SignIn starts a session for the e-mail and the password. For an unknown user, a wrong
// password and a disabled user it returns the same apperr.Unauthenticated after the same
// time.
func (s *Service) SignIn(ctx context.Context, email, password string, client netip.Addr) (User, Session, error) {
	email = foldEmail(email)
	attempt, err := s.Limits.CountSignIn(ctx, attemptKey(email), client)
	if err != nil {
		return User{}, Session{}, err
	}
	u, err := s.authenticate(ctx, email, norm.NFC.String(password))
	s.giveBack(ctx, attempt, err)
	if err != nil {
		return User{}, Session{}, err
	}
	session, err := s.startSession(ctx, u)
	return u, session, err
}

// giveBack takes an attempt out of the count unless it was refused because of err.
func (s *Service) giveBack(ctx context.Context, a Attempt, err error) {
	if hasKind(err, apperr.Unauthenticated) || hasKind(err, apperr.Invalid) {
		return
	}
	// An attempt that could not be decided told the client nothing, so it does not count
	// either, also when the client has left. If Redis fails here, the attempt stays counted.
	_ = s.Limits.GiveBack(context.WithoutCancel(ctx), a, err == nil)
}

// authenticate returns the user with the e-mail if it has the password and may sign in.
func (s *Service) authenticate(ctx context.Context, email, password string) (User, error) {
	var u User // the zero value has no password
	if emailProblem(email) == "" {
		var err error
		if u, err = s.Store.FindByEmail(ctx, email); err != nil && !hasKind(err, apperr.NotFound) {
			return User{}, err
		}
	}
	equal, outdated, err := s.hasher.compare(ctx, password, u.PasswordHash)
	if err != nil {
		return User{}, err
	}
	if !equal {
		return User{}, InvalidCredentialsError(errWrongPassword)
	}
	if u.Disabled {
		return User{}, InvalidCredentialsError(errDisabled)
	}
	if outdated {
		s.rehash(ctx, u, password)
	}
	return u, nil
}

// rehash replaces an outdated hash. The user is signed in even if that fails: the next
// sign-in repeats it.
func (s *Service) rehash(ctx context.Context, u User, password string) {
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return
	}
	_, _ = s.Store.Update(ctx, u.ID, func(stored *User) error {
		if stored.PasswordHash == u.PasswordHash { // otherwise the password was changed meanwhile
			stored.PasswordHash = hash
		}
		return nil
	})
}

// SignInByToken starts a session for the user that an issuer's token names. The first
// sign-in of an identity makes its user. For an invalid token and a disabled user the error
// is that of SignIn.
func (s *Service) SignInByToken(ctx context.Context, token string, client netip.Addr) (User, Session, error) {
	if s.Verify == nil {
		return User{}, Session{}, InvalidCredentialsError(errNoIssuer)
	}
	attempt, err := s.Limits.CountSignIn(ctx, "", client)
	if err != nil {
		return User{}, Session{}, err
	}
	identity, err := s.Verify(ctx, token)
	s.giveBack(ctx, attempt, err)
	if err != nil {
		return User{}, Session{}, err
	}
	u, err := s.findOrCreate(ctx, identity)
	if err != nil {
		return User{}, Session{}, err
	}
	if u.Disabled {
		return User{}, Session{}, InvalidCredentialsError(errDisabled)
	}
	session, err := s.startSession(ctx, u)
	return u, session, err
}

func (s *Service) findOrCreate(ctx context.Context, identity Identity) (User, error) {
	u, err := s.Store.FindByIdentity(ctx, identity)
	if !hasKind(err, apperr.NotFound) {
		return u, err
	}
	u, err = s.Store.Create(ctx, User{Identity: identity, Role: RoleUser, CreatedAt: s.Now().UTC().Truncate(time.Microsecond)})
	if hasKind(err, apperr.AlreadyExists) { // a concurrent sign-in made it
		return s.Store.FindByIdentity(ctx, identity)
	}
	return u, err
}

// startSession stores a session of the user, which was read before.
func (s *Service) startSession(ctx context.Context, u User) (Session, error) {
	session, err := s.Sessions.Create(ctx, u.ID, u.Role)
	if err != nil {
		return Session{}, err
	}
	now, err := s.Store.Get(ctx, u.ID)
	if err == nil && (now.AuthVersion != u.AuthVersion || now.Disabled) {
		err = InvalidCredentialsError(errRevoked)
	}
	if err != nil {
		// The revocation may have deleted the sessions before this one was stored. The client
		// never gets the token of a session that could not be deleted.
		_ = s.Sessions.Revoke(context.WithoutCancel(ctx), u.ID, session.ID)
		return Session{}, err
	}
	return session, nil
}
