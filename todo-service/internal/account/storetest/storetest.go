// Package storetest is the contract test of account.Store: the tests that every store must
// pass, because the service relies on them.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/account"
)

// Run runs the contract test. open returns an empty store for each subtest.
func Run(t *testing.T, open func(t *testing.T) account.Store) {
	for name, test := range map[string]func(fixture){
		"Create stores the user":                      testCreate,
		"an e-mail belongs to one user":               testEmailTaken,
		"an identity belongs to one user":             testIdentityTaken,
		"an unknown user is not found":                testNotFound,
		"Update stores what may change":               testUpdate,
		"an error of change changes nothing":          testRefusal,
		"List returns pages in the order of ids":      testList,
		"a canceled request changes nothing":          testCancelled,
		"concurrent updates lose nothing":             testConcurrentUpdates,
		"one of concurrent creations gets the e-mail": testConcurrentCreations,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(fixture{t, open(t)})
		})
	}
}

// fixture is a store under test.
type fixture struct {
	*testing.T
	account.Store
}

var created = time.Date(2026, 1, 15, 10, 0, 0, 123_456_000, time.UTC)

func withPassword(email string) account.User {
	return account.User{Email: email, PasswordHash: "$argon2id$" + email, Role: account.RoleAdmin, CreatedAt: created}
}

func withIdentity(subject string) account.User {
	return account.User{
		Identity: account.Identity{Issuer: "https://issuer.example.com", Subject: subject}, Role: account.RoleUser, CreatedAt: created,
	}
}

// create stores a user, which must succeed.
func (s fixture) create(u account.User) account.User {
	s.Helper()
	stored, err := s.Create(s.Context(), u)
	if err != nil {
		s.Fatal(err)
	}
	return stored
}

// wantUser wants a method to have returned the user.
func (s fixture) wantUser(want account.User) func(account.User, error) {
	return func(got account.User, err error) {
		s.Helper()
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			s.Errorf("error %v; user (-want +got):\n%s", err, diff)
		}
	}
}

// wantKind wants a method to have failed.
func (s fixture) wantKind(want apperr.Kind) func(account.User, error) {
	return func(got account.User, err error) {
		s.Helper()
		if err == nil || apperr.Of(err).Kind != want || got != (account.User{}) {
			s.Errorf("got %+v and error %v, want one of kind %d", got, err, want)
		}
	}
}

func testCreate(s fixture) {
	for i, u := range []account.User{withPassword("ann@example.com"), withIdentity("ann@example.com"), withIdentity("Ann@example.com")} {
		stored := s.create(u)
		if stored.ID < 1 || stored.AuthVersion != 1 {
			s.Errorf("user %d: id %d at auth version %d", i, stored.ID, stored.AuthVersion)
		}
		u.ID, u.AuthVersion = stored.ID, 1
		s.wantUser(u)(stored, nil)
		s.wantUser(u)(s.Get(s.Context(), u.ID))
		if u.Email != "" {
			s.wantUser(u)(s.FindByEmail(s.Context(), u.Email))
		} else {
			s.wantUser(u)(s.FindByIdentity(s.Context(), u.Identity))
		}
	}
}

func testEmailTaken(s fixture) {
	first := s.create(withPassword("ann@example.com"))
	s.wantKind(apperr.AlreadyExists)(s.Create(s.Context(), account.User{
		Email: "ann@example.com", PasswordHash: "$other", Role: account.RoleUser, CreatedAt: created,
	}))
	s.wantUser(first)(s.FindByEmail(s.Context(), "ann@example.com"))
	s.create(withPassword("bob@example.com"))
}

func testIdentityTaken(s fixture) {
	first := s.create(withIdentity("7"))
	s.wantKind(apperr.AlreadyExists)(s.Create(s.Context(), withIdentity("7")))
	s.wantUser(first)(s.FindByIdentity(s.Context(), first.Identity))
	other := withIdentity("7")
	other.Identity.Issuer = "https://other.example.com"
	s.create(other)
}

func testNotFound(s fixture) {
	known := s.create(withPassword("ann@example.com"))
	s.create(withIdentity("7"))
	for _, id := range []int64{0, -1, known.ID + 1000} {
		s.wantKind(apperr.NotFound)(s.Get(s.Context(), id))
		s.wantKind(apperr.NotFound)(s.Update(s.Context(), id, func(*account.User) error {
			s.Error("change is called for an unknown user")
			return nil
		}))
	}
	for _, email := range []string{"", "Ann@example.com", "ann@example.co", "7"} {
		s.wantKind(apperr.NotFound)(s.FindByEmail(s.Context(), email))
	}
	for _, identity := range []account.Identity{{}, {Issuer: "https://issuer.example.com"}, {Issuer: "https://other.example.com", Subject: "7"}} {
		s.wantKind(apperr.NotFound)(s.FindByIdentity(s.Context(), identity))
	}
}

func testUpdate(s fixture) {
	for _, u := range []account.User{withPassword("ann@example.com"), withIdentity("7")} {
		want := s.create(u)
		want.Role, want.Disabled, want.AuthVersion = account.RoleUser, true, 8
		if want.Email != "" {
			want.PasswordHash = "$new"
		}
		s.wantUser(want)(s.Update(s.Context(), want.ID, func(u *account.User) error {
			u.PasswordHash, u.Role, u.Disabled, u.AuthVersion = want.PasswordHash, want.Role, want.Disabled, want.AuthVersion
			return nil
		}))
		s.wantUser(want)(s.Get(s.Context(), want.ID))
	}
}

func testRefusal(s fixture) {
	before := s.create(withPassword("ann@example.com"))
	refusal := errors.New("no")
	_, err := s.Update(s.Context(), before.ID, func(u *account.User) error {
		u.Disabled, u.AuthVersion = true, 2
		return refusal
	})
	if !errors.Is(err, refusal) {
		s.Errorf("got %v, want the error of change", err)
	}
	s.wantUser(before)(s.Get(s.Context(), before.ID))
}

func testList(s fixture) {
	var all []account.User
	for i := range 5 {
		all = append(all, s.create(withPassword(fmt.Sprintf("%d@example.com", i))))
	}
	for _, test := range []struct {
		after int64
		limit int
		want  []account.User
	}{
		{0, 10, all}, {0, 2, all[:2]}, {all[1].ID, 2, all[2:4]}, {all[3].ID, 10, all[4:]}, {all[4].ID, 10, []account.User{}},
	} {
		got, err := s.List(s.Context(), test.after, test.limit)
		if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
			s.Errorf("after %d, limit %d: error %v; users (-want +got):\n%s", test.after, test.limit, err, diff)
		}
	}
}

func testCancelled(s fixture) {
	before := s.create(withPassword("ann@example.com"))
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	s.wantKind(apperr.Unavailable)(s.Create(ctx, withPassword("bob@example.com")))
	s.wantKind(apperr.Unavailable)(s.Get(ctx, before.ID))
	s.wantKind(apperr.Unavailable)(s.Update(ctx, before.ID, func(u *account.User) error {
		u.Disabled = true
		return nil
	}))
	s.wantUser(before)(s.Get(s.Context(), before.ID))
	s.wantKind(apperr.NotFound)(s.FindByEmail(s.Context(), "bob@example.com"))
}

func testConcurrentUpdates(s fixture) {
	u := s.create(withPassword("ann@example.com"))
	const updates = 20
	concurrently(updates, func() {
		if _, err := s.Update(s.Context(), u.ID, func(u *account.User) error {
			u.AuthVersion++
			return nil
		}); err != nil {
			s.Error(err)
		}
	})
	u.AuthVersion += updates
	s.wantUser(u)(s.Get(s.Context(), u.ID))
}

func testConcurrentCreations(s fixture) {
	var mu sync.Mutex
	outcomes := map[apperr.Kind]int{}
	concurrently(20, func() {
		_, err := s.Create(s.Context(), withPassword("ann@example.com"))
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			outcomes[-1]++
		} else {
			outcomes[apperr.Of(err).Kind]++
		}
	})
	if diff := cmp.Diff(map[apperr.Kind]int{-1: 1, apperr.AlreadyExists: 19}, outcomes); diff != "" {
		s.Errorf("outcomes by kind, -1 for none (-want +got):\n%s", diff)
	}
}

// concurrently calls do n times at once, and waits for all calls.
func concurrently(n int, do func()) {
	var group sync.WaitGroup
	for range n {
		group.Go(do)
	}
	group.Wait()
}
