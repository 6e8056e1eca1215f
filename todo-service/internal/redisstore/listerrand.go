package redisstore

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/todo-service/internal/listcache"
)

// entry is what a reader found.
type entry struct {
	list       listcache.Entry // Hit when there is one
	generation string
}

// beside is what is stored next to a list.
type beside struct {
	Link string `json:"link"`
	ETag string `json:"etag"`
	Sum  uint32 `json:"crc32c"` // of the list: tells rubbish from a list
}

// copied is a list as it was read from Redis, and what stood beside it.
type copied struct {
	list   listcache.Entry
	beside string
}

// looking is the errand of readers. It brings an entry.
type looking struct{ cache *ListCache }

// pack names the list that this process has a copy of: it is not sent again. A Redis
// that does not know the script of this cache has begun anew, perhaps with what it
// had before the last invalidations: that is forgotten first, for all processes.
func (l looking) pack(int) cargo {
	kept := l.cache.kept.Load()
	if kept == nil {
		kept = &copied{}
	}
	return cargo{
		script: l.cache.looking,
		first:  &cargo{script: invalidateScript, keys: l.cache.keys, args: []any{rand.Text()}},
		keys:   l.cache.keys,
		args:   []any{rand.Text(), kept.beside, len(kept.list.Body)},
		unpack: func(reply *goredis.Cmd) (any, error) { return l.unpack(reply, kept) },
	}
}

func (l looking) unpack(reply *goredis.Cmd, kept *copied) (any, error) {
	values, err := reply.Slice()
	if err == nil && len(values) != 4 {
		err = fmt.Errorf("the reader's script returned %d values", len(values))
	}
	if err != nil {
		return nil, err
	}
	if removed, _ := values[1].(int64); removed > 0 {
		l.cache.rubbish(errors.New("a key held another type"))
	}
	var found entry
	found.generation, _ = values[0].(string)
	switch body := values[2].(type) {
	case int64: // still the one that is kept
		found.list = kept.list
	case string:
		next, _ := values[3].(string)
		list, err := read(body, next)
		if err != nil {
			l.cache.rubbish(err)
			break
		}
		l.cache.kept.Store(&copied{list, next})
		found.list = list
	}
	return found, nil
}

// read puts together what a filling has stored.
func read(body, next string) (listcache.Entry, error) {
	var meta beside
	if err := json.Unmarshal([]byte(next), &meta); err != nil {
		return listcache.Entry{}, fmt.Errorf("what is beside the list: %w", err)
	}
	list := listcache.Entry{Body: []byte(body), Link: meta.Link, ETag: meta.ETag, Hit: true}
	if checksum(list.Body) != meta.Sum || meta.ETag == "" {
		return listcache.Entry{}, errors.New("the list is not the one that was stored")
	}
	return list, nil
}

// forgetting is the errand of writers. It brings true: the list was invalidated.
type forgetting struct{ cache *ListCache }

func (f forgetting) pack(int) cargo {
	return cargo{
		script: invalidateScript,
		keys:   f.cache.keys,
		args:   append([]any{rand.Text()}, f.cache.committed.takeAll()...),
		unpack: func(reply *goredis.Cmd) (any, error) { return reply.Bool() },
	}
}

// healing is the errand of the live pass. It brings whether the list was
// invalidated. As a pointer it is never equal to another.
type healing struct {
	cache  *ListCache
	events []any // their ids
}

func (h *healing) pack(int) cargo {
	return cargo{
		script: healScript,
		keys:   h.cache.keys,
		args:   append([]any{rand.Text()}, h.events...),
		unpack: func(reply *goredis.Cmd) (any, error) { return reply.Bool() },
	}
}

// maxCommitted bounds the ids of one invalidation: more than there are writers at
// once, as long as Redis answers.
const maxCommitted = 1_000

// committedEvents are the ids of events that are committed and whose invalidation
// has not left for Redis yet.
type committedEvents struct {
	mu  sync.Mutex
	ids []any
}

// add drops all ids when there are too many. The live pass then invalidates for them.
func (c *committedEvents) add(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.ids) == maxCommitted {
		c.ids = nil
	}
	c.ids = append(c.ids, id)
}

// takeAll returns the ids once. Any invalidation that begins afterwards is one for them.
func (c *committedEvents) takeAll() []any {
	c.mu.Lock()
	defer c.mu.Unlock()
	ids := c.ids
	c.ids = nil
	return ids
}

// filling is the errand of a reader who has a list for others. It brings whether
// the list was stored. As a pointer it is never equal to another.
type filling struct {
	cache      *ListCache
	generation string
	list       listcache.Entry
}

func (f *filling) pack(int) cargo {
	next, _ := json.Marshal(beside{f.list.Link, f.list.ETag, checksum(f.list.Body)}) // strings and a number: it never fails
	return cargo{
		script: fillScript,
		keys:   f.cache.keys,
		args:   []any{f.generation, f.list.Body, next, listTTL},
		unpack: func(reply *goredis.Cmd) (any, error) { return reply.Bool() },
	}
}
