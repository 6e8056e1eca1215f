package eventcodec

import (
	"sync"

	"example.com/todo/todo-service/internal/task"
)

// cacheSize is the number of cached encodings: watchers that keep up are at most that
// many announcements apart.
const cacheSize = 64

// EncodeCache is a cache of encoded announcements, direct-mapped by seq: the newest ones
// are encoded once for all watchers. It may be used by several goroutines.
type EncodeCache[T any] struct {
	encode func(task.Announcement) (T, error)
	mu     sync.Mutex
	newest [cacheSize]struct {
		seq     int64
		encoded T
	}
}

// NewEncodeCache returns an empty cache over encode. Errors of encode are not cached.
func NewEncodeCache[T any](encode func(task.Announcement) (T, error)) *EncodeCache[T] {
	return &EncodeCache[T]{encode: encode}
}

// Encode returns the encoded announcement, which the caller must not change. It does not
// take bookmarks: a bookmark has the seq of an announcement.
func (s *EncodeCache[T]) Encode(a task.Announcement) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slot := &s.newest[a.Seq%cacheSize]
	if slot.seq == a.Seq {
		return slot.encoded, nil
	}
	encoded, err := s.encode(a)
	if err == nil && slot.seq < a.Seq { // a slow watcher's older announcement must not evict a newer one
		slot.seq, slot.encoded = a.Seq, encoded
	}
	return encoded, err
}
