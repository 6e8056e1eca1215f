package webhookserver

import (
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"time"
)

// Of a thousand keys this many are refused for now, received without a response, or answered
// late.
const (
	refusedPerMille = 10
	droppedPerMille = 3
	delayedPerMille = 5
)

// maxDelay is the maximum delay of a response, below the timeout of a sender.
const maxDelay = 800 * time.Millisecond

// maxMisbehavior is the maximum number of attempts on one key that the server mistreats.
const maxMisbehavior = 2

// behavior is how the server responds to one attempt.
type behavior struct {
	status int // 0 for no response
	delay  time.Duration
}

// behaviorFor is deterministic: it depends on the seed, the key and the number of earlier
// attempts.
func behaviorFor(seed int64, key string, earlierAttempts int) behavior {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(key)) // a hash returns no error
	random := rand.New(rand.NewPCG(uint64(seed), hash.Sum64()))
	draw, misbehaviors := random.IntN(1000), 1+random.IntN(maxMisbehavior)
	b := behavior{status: http.StatusNoContent}
	switch {
	case earlierAttempts >= misbehaviors:
	case draw < refusedPerMille:
		b.status = http.StatusServiceUnavailable
	case draw < refusedPerMille+droppedPerMille:
		b.status = 0
	case draw < refusedPerMille+droppedPerMille+delayedPerMille:
		b.delay = time.Duration(random.Int64N(int64(maxDelay)))
	}
	return b
}
