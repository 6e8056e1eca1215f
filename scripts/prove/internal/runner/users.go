package runner

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/todo/platform/retry"
	"example.com/todo/scripts/prove/internal/cluster"
	"example.com/todo/scripts/prove/internal/signin"
)

// createUsers creates the clients' users and an administrator, and signs them in.
func (e *experiment) createUsers(ctx context.Context) error {
	signInAt := e.cluster.Replicas(cluster.Todo)[0].HTTP
	group, ctx := errgroup.WithContext(ctx)
	create := func(name string, isAdmin bool) *signin.User {
		email, password := name+"@example.com", rand.Text()
		user := signin.NewUser(email, password)
		group.Go(func() error {
			if err := e.cluster.CreateUser(ctx, email, password, isAdmin); err != nil {
				return fmt.Errorf("create the user %s: %w", email, err)
			}
			return signInFirst(ctx, user, signInAt)
		})
		return user
	}
	e.admin = create("admin", true)
	for n := range users {
		e.users = append(e.users, create(fmt.Sprintf("user-%d", n+1), false))
	}
	return group.Wait()
}

const (
	signInTimeout = time.Minute
	signInPause   = 500 * time.Millisecond // between two attempts
)

// signInFirst signs a new user in. On a busy machine the service may respond 503 at first.
func signInFirst(ctx context.Context, user *signin.User, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, signInTimeout)
	defer cancel()
	for {
		_, err := user.Token(ctx, addr)
		if err == nil || !retry.Wait(ctx, signInPause) {
			return err
		}
	}
}
