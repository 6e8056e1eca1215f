package redisstore

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/todo-service/internal/listcache"
	"example.com/todo/todo-service/internal/task"
)

// lookupResult is what Redis holds.
type lookupResult struct {
	list       listcache.Entry // a Hit, or empty
	generation string
	corrupt    error // what no fill stored; the next fill replaces it
}

// metadata is stored beside a list.
type metadata struct {
	Link string `json:"link"`
	ETag string `json:"etag"`
	Sum  uint32 `json:"crc32c"` // of the list: detects a list that is not ours
}

// listKeys are the Redis keys of the lists. Those of the list without an owner are the
// KEYS of all its scripts.
type listKeys struct {
	ownerless       []string // list, metadata, generation, confirmed events
	users           string   // a user's list is this and the user's id
	epoch           string   // of all users' lists
	confirmedEvents string   // of all users
}

func newListKeys(list string) listKeys {
	return listKeys{
		ownerless:       []string{list, list + ":beside", list + ":generation", list + ":confirmed"},
		users:           list + ":",
		epoch:           list + ":users:epoch",
		confirmedEvents: list + ":users:confirmed",
	}
}

// ofUser returns the keys of the user's list, its metadata and its generation, and then
// others.
func (k listKeys) ofUser(user task.Owner, others ...string) []string {
	list := k.users + strconv.FormatInt(int64(user), 10)
	return append([]string{list, list + ":beside", list + ":generation"}, others...)
}

// lookupCommand reads the owner's list and the generation. Its result is a lookupResult.
type lookupCommand struct {
	cache *ListCache
	owner task.Owner
}

func (l lookupCommand) build(int) scriptCall {
	c, local := l.cache, l.cache.copies.get(l.owner)
	// The script's text is unique for the keys and the database. NOSCRIPT therefore means
	// that Redis was restarted, perhaps from a snapshot with a list older than a confirmed
	// invalidation. The list, or those of all users, are invalidated, for every process,
	// before the script is known.
	call := scriptCall{
		script:     c.lookupScript,
		onNoScript: &scriptCall{script: invalidateScript, keys: c.keys.ownerless, args: []any{rand.Text()}},
		keys:       c.keys.ownerless,
		args:       []any{rand.Text(), local.metadata, len(local.list.Body)}, // the local copy is not sent again
		decode:     func(reply *goredis.Cmd) (any, error) { return l.decode(reply, local) },
	}
	if l.owner != 0 {
		call.script, call.onNoScript = c.lookupUserScript, c.forgetUsers
		call.keys = c.keys.ofUser(l.owner, c.keys.epoch)
	}
	return call
}

func (l lookupCommand) decode(reply *goredis.Cmd, local *localCopy) (any, error) {
	values, err := reply.Slice()
	if err == nil && len(values) != 4 {
		err = fmt.Errorf("lookup.lua returned %d values, want 4", len(values))
	}
	if err != nil {
		return nil, err
	}
	var result lookupResult
	result.generation, _ = values[0].(string)
	if removed, _ := values[1].(int64); removed > 0 {
		result.corrupt = errors.New("corrupt data: a key held another type")
	}
	switch body := values[2].(type) {
	case int64: // the local copy is current
		result.list = local.list
	case string:
		text, _ := values[3].(string)
		list, err := decodeList(body, text)
		if err != nil {
			result.corrupt = err
			break
		}
		l.cache.copies.put(l.owner, &localCopy{list, text})
		result.list = list
	}
	return result, nil
}

// decodeList returns the list that a fill stored, and an error for any other content.
func decodeList(body, text string) (listcache.Entry, error) {
	var meta metadata
	if err := json.Unmarshal([]byte(text), &meta); err != nil {
		return listcache.Entry{}, fmt.Errorf("corrupt data: metadata of the list: %w", err)
	}
	list := listcache.Entry{Body: []byte(body), Link: meta.Link, ETag: meta.ETag, Hit: true}
	if checksum(list.Body) != meta.Sum || meta.ETag == "" {
		return listcache.Entry{}, errors.New("corrupt data: the list is not the one that was stored")
	}
	return list, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(body []byte) uint32 { return crc32.Checksum(body, castagnoli) }

// invalidateCommand returns the command that invalidates the owner's list and confirms
// the committed event. Its result is true.
func (c *ListCache) invalidateCommand(owner task.Owner, eventID string) command {
	if owner == 0 {
		return invalidateOwnerlessCommand{c}
	}
	return &scriptCall{
		script: invalidateUserScript,
		keys:   c.keys.ofUser(owner, c.keys.confirmedEvents),
		args:   []any{eventID},
		decode: decodeBool,
	}
}

// invalidateOwnerlessCommand invalidates the list without an owner. It confirms the events
// of all writers whose commands are one: they share that list.
type invalidateOwnerlessCommand struct{ cache *ListCache }

func (c invalidateOwnerlessCommand) build(int) scriptCall {
	return scriptCall{
		script: invalidateScript,
		keys:   c.cache.keys.ownerless,
		args:   append([]any{rand.Text()}, c.cache.drainCommitted()...),
		decode: decodeBool,
	}
}

// forgetUsersCommand invalidates the lists of all users. Its result is true.
type forgetUsersCommand struct{ cache *ListCache }

func (c forgetUsersCommand) build(int) scriptCall { return *c.cache.forgetUsers }

// healCall invalidates the list without an owner unless the events are confirmed. Its
// result is whether it invalidated.
func (c *ListCache) healCall(eventIDs []any) *scriptCall {
	args := append([]any{rand.Text()}, eventIDs...)
	return &scriptCall{script: healScript, keys: c.keys.ownerless, args: args, decode: decodeBool}
}

// healUsersCall invalidates the users' lists unless the events are confirmed. Its result
// is whether it invalidated.
func (c *ListCache) healUsersCall(users []task.Owner, eventIDs []any) *scriptCall {
	keys := []string{c.keys.confirmedEvents}
	for _, user := range users {
		keys = append(keys, c.keys.ofUser(user)...)
	}
	return &scriptCall{script: healUsersScript, keys: keys, args: eventIDs, decode: decodeBool}
}

// fillCall stores a list under its generation. Its result is whether Redis stored it.
func (c *ListCache) fillCall(owner task.Owner, generation string, list listcache.Entry) *scriptCall {
	text, _ := json.Marshal(metadata{list.Link, list.ETag, checksum(list.Body)}) // strings and a number: it never fails
	keys := c.keys.ownerless
	if owner != 0 {
		keys = c.keys.ofUser(owner)
	}
	return &scriptCall{
		script: fillScript,
		keys:   keys,
		args:   []any{generation, list.Body, text, listTTL},
		decode: decodeBool,
	}
}

func decodeBool(reply *goredis.Cmd) (any, error) { return reply.Bool() }

// drainCommitted returns the ids of committed events without an owner whose invalidation has not been sent.
// One that is sent afterwards is an invalidation for them.
func (c *ListCache) drainCommitted() (ids []any) {
	for {
		select {
		case id := <-c.committed:
			ids = append(ids, id)
		default:
			return ids
		}
	}
}
