package eventcodec

import (
	"sync"

	"example.com/todo/todo-service/internal/task"
)

// cacheSize is how many encodings are shared: watchers that keep up are not further
// apart.
const cacheSize = 64

// EncodeCache encodes announcements, each of the newest ones once for all watchers.
type EncodeCache[T any] struct {
	encode func(task.Announcement) (T, error)
	mu     sync.Mutex
	newest [cacheSize]struct {
		seq     int64
		encoded T
	}
}

// NewEncodeCache returns what shares the outcomes of encode.
func NewEncodeCache[T any](encode func(task.Announcement) (T, error)) *EncodeCache[T] {
	return &EncodeCache[T]{encode: encode}
}

// Encode returns the announcement encoded. A bookmark has its place in common
// with an announcement, and is not for here.
func (s *EncodeCache[T]) Encode(a task.Announcement) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	place := &s.newest[a.Seq%cacheSize]
	if place.seq == a.Seq {
		return place.encoded, nil
	}
	encoded, err := s.encode(a)
	if err == nil && place.seq < a.Seq { // who is behind leaves those alone who are not
		place.seq, place.encoded = a.Seq, encoded
	}
	return encoded, err
}
