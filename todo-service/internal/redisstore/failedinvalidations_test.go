package redisstore_test

import (
	"context"
	"testing"

	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/redisstore"
	"example.com/todo/todo-service/internal/task"
)

// failInvalidations fails one invalidation of each user, as clients do that leave.
func failInvalidations(t *testing.T, cache *redisstore.ListCache, users ...task.Owner) {
	t.Helper()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, user := range users {
		// Redis may reply before the client is seen to have left.
		testenv.Eventually(t, "an invalidation fails", func() bool { return cache.Invalidate(gone, user, "") != nil })
	}
}

func TestListCacheReadsNoListOfAUserAfterAFailedInvalidationOfIt(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	databases := fillUsers(t, cache, 7, 8, 0)
	s.network.down.Store(true)
	if err := cache.Invalidate(t.Context(), 7, "e1"); err == nil {
		t.Fatal("an invalidation succeeded without Redis")
	}
	s.network.down.Store(false)
	testenv.Eventually(t, "Redis is called again", func() bool { return !s.pipeline.IsOpen() })
	databases[7].body = `["new"]`
	for user, d := range databases {
		expectUserLoad(t, cache, user, d, user != 7)
	}
	expectUserLoad(t, cache, 7, databases[7], true)
	if got := cache.FailedOwners(); got != 0 {
		t.Errorf("%d owners have a failed invalidation, want none after it was made up for", got)
	}
}

// A user whose clients leave must not empty the cache of others.
func TestListCacheServesOthersAfterAClientLeft(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	databases := fillUsers(t, cache, 8, 9, 0)
	_, release := holdReplies(s)
	failInvalidations(t, cache, 7)
	release()
	for user, d := range databases {
		expectUserLoad(t, cache, user, d, true)
	}
}

func TestListCacheForgetsAllUsersListsAfterTooManyFailedInvalidations(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	reader := redisstore.NewListCache(s.replica(), s.prefix, s.log(), nil) // another process
	databases := fillUsers(t, reader, 1, 2, 0)
	s.network.down.Store(true)
	for user := range task.Owner(redisstore.MaxFailedOwners + 1) {
		if err := cache.Invalidate(t.Context(), user+1, ""); err == nil {
			t.Fatal("an invalidation succeeded without Redis")
		}
	}
	if got := cache.FailedOwners(); got > redisstore.MaxFailedOwners {
		t.Errorf("%d owners are kept", got)
	}
	s.network.down.Store(false)
	testenv.Eventually(t, "Redis is called again", func() bool { return !s.pipeline.IsOpen() })

	databases[1].body, databases[2].body = `["new of 1"]`, `["new of 2"]`
	for user, d := range databases {
		expectUserLoad(t, cache, user, d, user == 0)
		expectUserLoad(t, cache, user, d, true)
		expectUserLoad(t, reader, user, d, true)
	}
	epoch := s.Get(t.Context(), s.prefix+list+":users:epoch").Val()
	expectUserLoad(t, cache, 3, &fakeDatabase{body: `["of 3"]`}, false)
	if got := s.Get(t.Context(), s.prefix+list+":users:epoch").Val(); got != epoch {
		t.Error("the lists of all users were forgotten once more")
	}
}

func TestHealRecoversTheFailedInvalidationsOfItsUsers(t *testing.T) {
	t.Parallel()
	s, cache := openCache(t)
	fillUsers(t, cache, 7, 8)
	_, release := holdReplies(s)
	failInvalidations(t, cache, 7, 8)
	release()
	if got := cache.FailedOwners(); got != 2 {
		t.Fatalf("%d owners have a failed invalidation, want 2", got)
	}
	if err := cache.Heal(t.Context(), events(7, "e1")); err != nil {
		t.Fatal(err)
	}
	if got := cache.FailedOwners(); got != 1 {
		t.Errorf("%d owners have a failed invalidation, want that of user 8", got)
	}
}
