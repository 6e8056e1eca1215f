package workload

import (
	"maps"
	"slices"
	"sync"
	"time"

	"example.com/todo/scripts/prove/internal/history"
	"example.com/todo/scripts/prove/internal/signin"
)

// sightings are the tasks that users were shown. The zero value is ready to use.
type sightings struct {
	mu   sync.Mutex
	seen map[sightingKey]*history.Sighting
}

type sightingKey struct {
	user, task int64
	title      string
	where      string
}

// add records that the user was shown the tasks. Without sign-in there is nothing to record.
func (s *sightings) add(user *signin.User, where string, replica int, tasks ...task) {
	if user == nil {
		return
	}
	now, id := time.Now(), user.ID()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = map[sightingKey]*history.Sighting{}
	}
	for _, t := range tasks {
		key := sightingKey{id, t.ID, t.Title, where}
		if s.seen[key] == nil {
			s.seen[key] = &history.Sighting{User: id, TaskID: t.ID, Title: t.Title, Where: where, Replica: replica, At: now}
		}
		s.seen[key].Times++
	}
}

func (s *sightings) all() []history.Sighting {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []history.Sighting
	for one := range maps.Values(s.seen) {
		all = append(all, *one)
	}
	slices.SortFunc(all, func(a, b history.Sighting) int { return a.At.Compare(b.At) })
	return all
}
