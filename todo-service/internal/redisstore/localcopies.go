package redisstore

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"example.com/todo/todo-service/internal/listcache"
	"example.com/todo/todo-service/internal/task"
)

const (
	maxCopyBytes = 32 << 20 // of all users' copies: at least 200 lists of 1,000 tasks
	copyOverhead = 256      // bytes of one copy beside its texts
)

// localCopy is a list as it was read from Redis, and the text of its metadata.
type localCopy struct {
	list     listcache.Entry
	metadata string
}

func (c *localCopy) size() int {
	return copyOverhead + len(c.list.Body) + len(c.list.Link) + len(c.list.ETag) + len(c.metadata)
}

// localCopies holds the copy of the list without an owner, and the users' copies that
// were used last, of at most maxCopyBytes. It is safe for concurrent use.
type localCopies struct {
	ownerless atomic.Pointer[localCopy]

	mu    sync.Mutex
	users *simplelru.LRU[task.Owner, *localCopy]
	bytes int
}

func newLocalCopies() *localCopies {
	c := &localCopies{}
	// The number of copies is not limited, the bytes are. NewLRU only rejects a limit below 1.
	c.users, _ = simplelru.NewLRU(math.MaxInt, func(_ task.Owner, evicted *localCopy) { c.bytes -= evicted.size() })
	return c
}

// get returns the owner's copy; an empty one if there is none.
func (c *localCopies) get(owner task.Owner) *localCopy {
	local := c.ownerless.Load()
	if owner != 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		local, _ = c.users.Get(owner)
	}
	if local == nil {
		return &localCopy{}
	}
	return local
}

// put replaces the owner's copy, and evicts the users' copies that were used least
// recently while there are too many bytes.
func (c *localCopies) put(owner task.Owner, local *localCopy) {
	if owner == 0 {
		c.ownerless.Store(local)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.users.Remove(owner) // Add does not report the copy that it replaces
	c.users.Add(owner, local)
	for c.bytes += local.size(); c.bytes > maxCopyBytes; {
		c.users.RemoveOldest()
	}
}
