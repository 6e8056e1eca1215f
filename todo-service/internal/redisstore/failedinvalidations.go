package redisstore

import (
	"sync"
	"sync/atomic"

	"example.com/todo/todo-service/internal/task"
)

// maxFailedOwners bounds the owners with a failed invalidation: some 0.5 MB.
const maxFailedOwners = 10_000

// failure is the number of a failed invalidation, in their order; 0: none.
type failure uint64

// failedInvalidations records the latest failed invalidation of each owner that no later
// one has made up for. While an owner has one, this process does not read the owner's list
// from Redis. It is safe for concurrent use.
//
// A client that leaves while its write is being confirmed causes a failure. So a failure
// concerns its owner alone: a user cannot empty the cache of the others.
type failedInvalidations struct {
	exist atomic.Bool // written with mu, read without

	mu       sync.Mutex
	last     failure
	owners   map[task.Owner]failure
	allUsers failure // that of every user, instead of too many of single users
}

// of returns the failure of the owner and, of a user, the one of all users.
func (f *failedInvalidations) of(owner task.Owner) (own, allUsers failure) {
	if !f.exist.Load() {
		return 0, 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if owner == 0 {
		return f.owners[owner], 0
	}
	return f.owners[owner], f.allUsers
}

// record records a failed invalidation of the owner's list.
func (f *failedInvalidations) record(owner task.Owner) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last++
	f.exist.Store(true)
	if f.owners == nil {
		f.owners = make(map[task.Owner]failure)
	}
	if _, known := f.owners[owner]; !known && owner != 0 && len(f.owners) >= maxFailedOwners {
		f.allUsers = f.last
		f.removeUsers(f.last)
		return
	}
	f.owners[owner] = f.last
}

// resolve removes the owner's failure if it is still the noted one, for which a later
// invalidation has made up.
func (f *failedInvalidations) resolve(owner task.Owner, noted failure) {
	if noted == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.owners[owner] == noted {
		delete(f.owners, owner)
	}
	f.exist.Store(len(f.owners) > 0 || f.allUsers > 0)
}

// resolveAllUsers removes every user's failures up to the noted one.
func (f *failedInvalidations) resolveAllUsers(noted failure) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.allUsers <= noted {
		f.allUsers = 0
	}
	f.removeUsers(noted)
	f.exist.Store(len(f.owners) > 0 || f.allUsers > 0)
}

// removeUsers removes the failures of single users up to the given one. The caller holds mu.
func (f *failedInvalidations) removeUsers(upTo failure) {
	for owner, failed := range f.owners {
		if owner != 0 && failed <= upTo {
			delete(f.owners, owner)
		}
	}
}
