package memstore

import (
	"context"
	"sync"

	"example.com/todo/todo-service/internal/account"
)

// UserStore is an account.Store in memory. It may be used by several goroutines.
type UserStore struct {
	mu    sync.Mutex
	users []account.User // the user with id i is at i-1
}

// NewUserStore returns an empty store.
func NewUserStore() *UserStore { return &UserStore{} }

// Create stores a new user, or returns account.TakenError.
func (s *UserStore) Create(ctx context.Context, u account.User) (account.User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return account.User{}, err
	}
	for _, other := range s.users {
		if u.Email != "" && other.Email == u.Email || u.Email == "" && other.Identity == u.Identity {
			return account.User{}, account.TakenError()
		}
	}
	u.ID, u.AuthVersion = int64(len(s.users))+1, 1
	s.users = append(s.users, u)
	return u, nil
}

// Get returns the user, or account.NotFoundError.
func (s *UserStore) Get(ctx context.Context, id int64) (account.User, error) {
	return s.find(ctx, func(u account.User) bool { return u.ID == id })
}

// FindByEmail returns the user with the e-mail, or account.NotFoundError.
func (s *UserStore) FindByEmail(ctx context.Context, email string) (account.User, error) {
	return s.find(ctx, func(u account.User) bool { return email != "" && u.Email == email })
}

// FindByIdentity returns the user with the identity, or account.NotFoundError.
func (s *UserStore) FindByIdentity(ctx context.Context, identity account.Identity) (account.User, error) {
	return s.find(ctx, func(u account.User) bool { return identity != account.Identity{} && u.Identity == identity })
}

func (s *UserStore) find(ctx context.Context, wanted func(account.User) bool) (account.User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return account.User{}, err
	}
	for _, u := range s.users {
		if wanted(u) {
			return u, nil
		}
	}
	return account.User{}, account.NotFoundError()
}

// Update changes a user. It holds the mutex while change runs.
func (s *UserStore) Update(ctx context.Context, id int64, change func(*account.User) error) (account.User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return account.User{}, err
	}
	if id < 1 || id > int64(len(s.users)) {
		return account.User{}, account.NotFoundError()
	}
	u := s.users[id-1]
	if err := change(&u); err != nil {
		return account.User{}, err
	}
	s.users[id-1] = u
	return u, nil
}

// List returns a page of the users.
func (s *UserStore) List(ctx context.Context, after int64, limit int) ([]account.User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	rest := s.users[min(max(after, 0), int64(len(s.users))):]
	return append([]account.User{}, rest[:min(limit, len(rest))]...), nil
}
