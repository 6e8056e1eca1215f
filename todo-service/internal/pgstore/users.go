package pgstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"

	"example.com/todo/platform/postgres"
	"example.com/todo/todo-service/internal/account"
)

// UserStore is the account.Store in the database of a Store. It is safe for concurrent use
// by any number of processes.
type UserStore struct{ store *Store }

// NewUserStore returns the users in the database of store.
func NewUserStore(store *Store) *UserStore { return &UserStore{store} }

const userColumns = `id, coalesce(email, '') AS email, coalesce(password_hash, '') AS password_hash,
	coalesce(issuer, '') AS issuer, coalesce(subject, '') AS subject, role, disabled, auth_version, created_at`

type userRow struct {
	ID           int64     `db:"id"`
	Email        string    `db:"email"`
	PasswordHash string    `db:"password_hash"`
	Issuer       string    `db:"issuer"`
	Subject      string    `db:"subject"`
	Role         string    `db:"role"`
	Disabled     bool      `db:"disabled"`
	AuthVersion  int64     `db:"auth_version"`
	CreatedAt    time.Time `db:"created_at"`
}

func (r userRow) user() account.User {
	return account.User{
		ID: r.ID, Email: r.Email, PasswordHash: r.PasswordHash, Identity: account.Identity{Issuer: r.Issuer, Subject: r.Subject},
		Role: account.Role(r.Role), Disabled: r.Disabled, AuthVersion: r.AuthVersion, CreatedAt: r.CreatedAt.UTC(),
	}
}

// Create stores a new user, or returns account.TakenError.
func (s *UserStore) Create(ctx context.Context, u account.User) (account.User, error) {
	created, err := s.get(ctx, `INSERT INTO users (email, password_hash, issuer, subject, role, disabled, created_at)
		VALUES (nullif($1, ''), nullif($2, ''), nullif($3, ''), nullif($4, ''), $5, $6, $7)
		ON CONFLICT DO NOTHING RETURNING `+userColumns,
		u.Email, u.PasswordHash, u.Identity.Issuer, u.Identity.Subject, string(u.Role), u.Disabled, u.CreatedAt)
	if errors.Is(err, sql.ErrNoRows) {
		return account.User{}, account.TakenError()
	}
	return created, postgres.Classify(err)
}

// Get returns the user, or account.NotFoundError.
func (s *UserStore) Get(ctx context.Context, id int64) (account.User, error) {
	return s.find(ctx, `SELECT `+userColumns+` FROM users WHERE id = $1`, id)
}

// FindByEmail returns the user with the e-mail, or account.NotFoundError.
func (s *UserStore) FindByEmail(ctx context.Context, email string) (account.User, error) {
	return s.find(ctx, `SELECT `+userColumns+` FROM users WHERE email = $1`, email)
}

// FindByIdentity returns the user with the identity, or account.NotFoundError.
func (s *UserStore) FindByIdentity(ctx context.Context, identity account.Identity) (account.User, error) {
	return s.find(ctx, `SELECT `+userColumns+` FROM users WHERE issuer = $1 AND subject = $2`, identity.Issuer, identity.Subject)
}

// Update changes a user while its row is locked.
func (s *UserStore) Update(ctx context.Context, id int64, change func(*account.User) error) (account.User, error) {
	var changed account.User
	err := postgres.InTx(ctx, s.store.db, func(tx *sqlx.Tx) error {
		var row userRow
		// FOR UPDATE would block creations of the user's tasks, which lock the row FOR KEY SHARE,
		// and with them the creations of others in the same statement.
		if err := tx.GetContext(ctx, &row, `SELECT `+userColumns+` FROM users WHERE id = $1 FOR NO KEY UPDATE`, id); err != nil {
			return err
		}
		changed = row.user()
		if err := change(&changed); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE users SET password_hash = nullif($2, ''), role = $3, disabled = $4, auth_version = $5 WHERE id = $1`,
			id, changed.PasswordHash, string(changed.Role), changed.Disabled, changed.AuthVersion)
		return err
	})
	if err != nil {
		return account.User{}, classifyUserError(err)
	}
	return changed, nil
}

// List returns a page of the users.
func (s *UserStore) List(ctx context.Context, after int64, limit int) ([]account.User, error) {
	return selectConverted(ctx, s.store, userRow.user, `SELECT `+userColumns+` FROM users WHERE id > $1 ORDER BY id LIMIT $2`, after, limit)
}

func (s *UserStore) find(ctx context.Context, query string, args ...any) (account.User, error) {
	u, err := s.get(ctx, query, args...)
	return u, classifyUserError(err)
}

func (s *UserStore) get(ctx context.Context, query string, args ...any) (account.User, error) {
	var row userRow
	if err := s.store.selectOne(ctx, &row, query, args...); err != nil {
		return account.User{}, err
	}
	return row.user(), nil
}

func classifyUserError(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return account.NotFoundError()
	}
	return postgres.Classify(err)
}
