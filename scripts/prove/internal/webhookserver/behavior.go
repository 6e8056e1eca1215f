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
	refusedPerMille = 10
	droppedPerMille = 3
	delayedPerMille = 5
)

// maxDelay is how late an answer may be: well within what senders wait.
const maxDelay = 800 * time.Millisecond

// maxMisbehavior is how many tries on one key it may take until the answer is a good one.
const maxMisbehavior = 2

// behavior is how one try is answered.
type behavior struct {
	status int // 0: not at all
	delay  time.Duration
}

// behaviorFor is the same for the same seed, key and number of tries before.
func behaviorFor(seed int64, key string, before int) behavior {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(key)) // never fails
	random := rand.New(rand.NewPCG(uint64(seed), hash.Sum64()))
	n, times := random.IntN(1000), 1+random.IntN(maxMisbehavior)
	m := behavior{status: http.StatusNoContent}
	switch {
	case before >= times:
	case n < refusedPerMille:
		m.status = http.StatusServiceUnavailable
	case n < refusedPerMille+droppedPerMille:
		m.status = 0
	case n < refusedPerMille+droppedPerMille+delayedPerMille:
		m.delay = time.Duration(random.Int64N(int64(maxDelay)))
	}
	return m
}
