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

// lookupResult is what a reader found.
type lookupResult struct {
	list       listcache.Entry // Hit when there is one
	generation string
}

// metadata is what is stored next to a list.
type metadata struct {
	Link string `json:"link"`
	ETag string `json:"etag"`
	Sum  uint32 `json:"crc32c"` // of the list: tells rubbish from a list
}

// localCopy is a list as it was read from Redis, and what stood beside it.
type localCopy struct {
	list     listcache.Entry
	metadata string
}

// lookupCommand is the errand of readers. It brings an entry.
type lookupCommand struct{ cache *ListCache }

// pack names the list that this process has a copy of: it is not sent again. A Redis
// that does not know the script of this cache has begun anew, perhaps with what it
// had before the last invalidations: that is forgotten first, for all processes.
func (l lookupCommand) pack(int) cargo {
	kept := l.cache.localCopy.Load()
	if kept == nil {
		kept = &localCopy{}
	}
	return cargo{
		script: l.cache.lookupScript,
		first:  &cargo{script: invalidateScript, keys: l.cache.keys, args: []any{rand.Text()}},
		keys:   l.cache.keys,
		args:   []any{rand.Text(), kept.metadata, len(kept.list.Body)},
		unpack: func(reply *goredis.Cmd) (any, error) { return l.unpack(reply, kept) },
	}
}

func (l lookupCommand) unpack(reply *goredis.Cmd, kept *localCopy) (any, error) {
	values, err := reply.Slice()
	if err == nil && len(values) != 4 {
		err = fmt.Errorf("the reader's script returned %d values", len(values))
	}
	if err != nil {
		return nil, err
	}
	if removed, _ := values[1].(int64); removed > 0 {
		l.cache.recordCorrupt(errors.New("a key held another type"))
	}
	var found lookupResult
	found.generation, _ = values[0].(string)
	switch body := values[2].(type) {
	case int64: // still the one that is kept
		found.list = kept.list
	case string:
		next, _ := values[3].(string)
		list, err := decodeList(body, next)
		if err != nil {
			l.cache.recordCorrupt(err)
			break
		}
		l.cache.localCopy.Store(&localCopy{list, next})
		found.list = list
	}
	return found, nil
}

// decodeList puts together what a filling has stored.
func decodeList(body, next string) (listcache.Entry, error) {
	var meta metadata
	if err := json.Unmarshal([]byte(next), &meta); err != nil {
		return listcache.Entry{}, fmt.Errorf("what is beside the list: %w", err)
	}
	list := listcache.Entry{Body: []byte(body), Link: meta.Link, ETag: meta.ETag, Hit: true}
	if checksum(list.Body) != meta.Sum || meta.ETag == "" {
		return listcache.Entry{}, errors.New("the list is not the one that was stored")
	}
	return list, nil
}

// invalidateCommand is the errand of writers. It brings true: the list was invalidated.
type invalidateCommand struct{ cache *ListCache }

func (f invalidateCommand) pack(int) cargo {
	return cargo{
		script: invalidateScript,
		keys:   f.cache.keys,
		args:   append([]any{rand.Text()}, f.cache.committed.drain()...),
		unpack: func(reply *goredis.Cmd) (any, error) { return reply.Bool() },
	}
}

// healCommand is the errand of the live pass. It brings whether the list was
// invalidated. As a pointer it is never equal to another.
type healCommand struct {
	cache  *ListCache
	events []any // their ids
}

func (h *healCommand) pack(int) cargo {
	return cargo{
		script: healScript,
		keys:   h.cache.keys,
		args:   append([]any{rand.Text()}, h.events...),
		unpack: func(reply *goredis.Cmd) (any, error) { return reply.Bool() },
	}
}

// maxCommittedEvents bounds the ids of one invalidation: more than there are writers at
// once, as long as Redis answers.
const maxCommittedEvents = 1_000

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
	if len(c.ids) == maxCommittedEvents {
		c.ids = nil
	}
	c.ids = append(c.ids, id)
}

// drain returns the ids once. Any invalidation that begins afterwards is one for them.
func (c *committedEvents) drain() []any {
	c.mu.Lock()
	defer c.mu.Unlock()
	ids := c.ids
	c.ids = nil
	return ids
}

// fillCommand is the errand of a reader who has a list for others. It brings whether
// the list was stored. As a pointer it is never equal to another.
type fillCommand struct {
	cache      *ListCache
	generation string
	list       listcache.Entry
}

func (f *fillCommand) pack(int) cargo {
	next, _ := json.Marshal(metadata{f.list.Link, f.list.ETag, checksum(f.list.Body)}) // strings and a number: it never fails
	return cargo{
		script: fillScript,
		keys:   f.cache.keys,
		args:   []any{f.generation, f.list.Body, next, listTTL},
		unpack: func(reply *goredis.Cmd) (any, error) { return reply.Bool() },
	}
}
