package webhookserver

import (
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"time"
)

// Of a thousand keys so many are refused for now, or received and not answered,
// or answered late.
const (
	refuses = 10
	drops   = 3
	dawdles = 5
)

// latest is how late an answer may be: well within what senders wait.
const latest = 800 * time.Millisecond

// stubborn is how many tries on one key it may take until the answer is a good one.
const stubborn = 2

// mood is how one try is answered.
type mood struct {
	answer int // 0: not at all
	slow   time.Duration
}

// moodFor is the same for the same seed, key and number of tries before.
func moodFor(seed int64, key string, before int) mood {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(key)) // never fails
	random := rand.New(rand.NewPCG(uint64(seed), hash.Sum64()))
	n, times := random.IntN(1000), 1+random.IntN(stubborn)
	m := mood{answer: http.StatusNoContent}
	switch {
	case before >= times:
	case n < refuses:
		m.answer = http.StatusServiceUnavailable
	case n < refuses+drops:
		m.answer = 0
	case n < refuses+drops+dawdles:
		m.slow = time.Duration(random.Int64N(int64(latest)))
	}
	return m
}
