package redisstore

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"

	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/todo-service/internal/listcache"
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

// localCopy is a list as it was read from Redis, and the text of its metadata.
type localCopy struct {
	list     listcache.Entry
	metadata string
}

// lookupCommand reads the list and the generation. Its result is a lookupResult.
type lookupCommand struct{ cache *ListCache }

func (l lookupCommand) build(int) scriptCall {
	local := l.cache.localCopy.Load()
	if local == nil {
		local = &localCopy{}
	}
	return scriptCall{
		script: l.cache.lookupScript,
		// The script's text is unique for the keys and the database. NOSCRIPT therefore means
		// that Redis was restarted, perhaps from a snapshot with a list older than a confirmed
		// invalidation. The list is invalidated, for every process, before the script is known.
		onNoScript: &scriptCall{script: invalidateScript, keys: l.cache.keys, args: []any{rand.Text()}},
		keys:       l.cache.keys,
		args:       []any{rand.Text(), local.metadata, len(local.list.Body)}, // the local copy is not sent again
		decode:     func(reply *goredis.Cmd) (any, error) { return l.decode(reply, local) },
	}
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
		l.cache.localCopy.Store(&localCopy{list, text})
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

// invalidateCommand invalidates the list and confirms the committed events. Its result
// is true.
type invalidateCommand struct{ cache *ListCache }

func (c invalidateCommand) build(int) scriptCall {
	return scriptCall{
		script: invalidateScript,
		keys:   c.cache.keys,
		args:   append([]any{rand.Text()}, c.cache.drainCommitted()...),
		decode: decodeBool,
	}
}

// fillCall stores a list under its generation. Its result is whether Redis stored it.
func (c *ListCache) fillCall(generation string, list listcache.Entry) *scriptCall {
	text, _ := json.Marshal(metadata{list.Link, list.ETag, checksum(list.Body)}) // strings and a number: it never fails
	return &scriptCall{
		script: fillScript,
		keys:   c.keys,
		args:   []any{generation, list.Body, text, listTTL},
		decode: decodeBool,
	}
}

func decodeBool(reply *goredis.Cmd) (any, error) { return reply.Bool() }

// drainCommitted returns the ids of committed events whose invalidation has not been sent.
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
