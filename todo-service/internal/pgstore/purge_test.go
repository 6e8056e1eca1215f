package pgstore_test

import (
	"sync"
	"testing"
	"time"

	"example.com/todo/todo-service/internal/pgstore"
	"example.com/todo/todo-service/internal/task"
)

// openWithEvents returns a store with events of these ages, oldest first, and cursors
// that have sent that many of them.
func openWithEvents(t *testing.T, kafka, live int, ages ...time.Duration) *pgstore.Store {
	t.Helper()
	s := pgstore.New(migrated(t))
	for _, age := range ages {
		e := newEvent("of age " + age.String())
		e.At = e.At.Add(-age)
		must(s.Create(t.Context(), task.NoOwner, e, task.IdempotencyKey{}))
	}
	forwardBatch(t, s, "kafka", kafka)
	forwardBatch(t, s, "live", live)
	return s
}

func TestPurgeDeletesOldEntriesThatWereSent(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	tests := map[string]struct {
		kafka, live int
		ages        []time.Duration
		limit       int
		want        int
	}{
		"old entries":                       {3, 3, []time.Duration{9 * day, 8 * day, 1 * day}, 10, 2},
		"no young entry":                    {2, 2, []time.Duration{6 * day, 1 * day}, 10, 0},
		"no entry that Kafka lacks":         {1, 3, []time.Duration{9 * day, 9 * day, 9 * day}, 10, 1},
		"no entry that the live feed lacks": {3, 2, []time.Duration{9 * day, 9 * day, 9 * day}, 10, 2},
		"at most the limit":                 {3, 3, []time.Duration{9 * day, 9 * day, 9 * day}, 2, 2},
		"no entry behind a younger one":     {3, 3, []time.Duration{9 * day, 1 * day, 9 * day}, 10, 1},
		"the whole log":                     {2, 2, []time.Duration{9 * day, 9 * day}, 10, 2},
		"an empty log":                      {1, 1, nil, 10, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openWithEvents(t, test.kafka, test.live, test.ages...)
			if n, err := s.Purge(t.Context(), 7*day, test.limit); n != test.want || err != nil {
				t.Errorf("purged %d, error %v, want %d", n, err, test.want)
			}
			log, err := s.Bounds(t.Context())
			if err != nil || log.PurgedThrough != int64(test.want) {
				t.Errorf("purged through %d, error %v, want %d", log.PurgedThrough, err, test.want)
			}
			left := must(s.After(t.Context(), 0, 10))
			if len(left) != max(test.kafka, test.live, len(test.ages))-test.want && len(test.ages) > 0 {
				t.Errorf("%d entries are left of %d", len(left), len(test.ages))
			}
		})
	}
}

func TestPurgeIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	ages := make([]time.Duration, 40)
	for i := range ages {
		ages[i] = 100 * time.Hour
	}
	s := openWithEvents(t, 40, 40, ages...)
	var purgers sync.WaitGroup
	var mu sync.Mutex
	total := 0
	for range 4 {
		purgers.Go(func() {
			for range 20 {
				n, err := s.Purge(t.Context(), time.Hour, 3)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				total += n
				mu.Unlock()
			}
		})
	}
	purgers.Wait()
	log, err := s.Bounds(t.Context())
	if total != 40 || log.PurgedThrough != 40 || log.Head != 40 || err != nil {
		t.Errorf("purged %d, through %d of %d, error %v", total, log.PurgedThrough, log.Head, err)
	}
}
