package account

import (
	"context"
	"crypto/rand"
	"runtime"
	"time"

	"github.com/alexedwards/argon2id"

	"example.com/todo/platform/apperr"
)

// hashParams are those that OWASP recommends for Argon2id with the least memory.
var hashParams = argon2id.Params{
	Memory:      19 << 10, // KiB
	Iterations:  2,
	Parallelism: 1,
	SaltLength:  16, // bytes
	KeyLength:   32, // bytes
}

// maxHashWait is how long a caller waits for its turn to hash. Two hashes take some 50 ms
// of a processor.
const maxHashWait = 2 * time.Second

// hasher makes and compares hashes of passwords, a bounded number at a time: each takes 19
// MiB and a processor.
type hasher struct {
	slots chan struct{} // one for each running hash
	dummy string        // the hash of a random password, for users without one
}

func newHasher() (*hasher, error) {
	// Half of the processors stay free for the other requests.
	h := &hasher{slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
	dummy, err := argon2id.CreateHash(rand.Text(), &hashParams)
	h.dummy = dummy
	return h, err
}

// hash returns the hash of a password. The error is apperr.Unavailable if too many hashes
// are running.
func (h *hasher) hash(ctx context.Context, password string) (hash string, err error) {
	if err := h.acquire(ctx); err != nil {
		return "", err
	}
	defer h.release()
	return argon2id.CreateHash(password, &hashParams)
}

// compare reports whether the password has the hash, and whether that has other parameters
// than new ones. Without a hash it takes the same time and reports false. The error is that
// of hash.
func (h *hasher) compare(ctx context.Context, password, hash string) (equal, outdated bool, err error) {
	if err := h.acquire(ctx); err != nil {
		return false, false, err
	}
	defer h.release()
	if hash == "" {
		_, _, err := argon2id.CheckHash(password, h.dummy)
		return false, false, err
	}
	equal, params, err := argon2id.CheckHash(password, hash)
	return equal, err == nil && *params != hashParams, err
}

func (h *hasher) acquire(ctx context.Context) error {
	turn := time.NewTimer(maxHashWait)
	defer turn.Stop()
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-turn.C:
		return apperr.New(apperr.Unavailable, "too many requests are signing in; try again")
	}
}

func (h *hasher) release() { <-h.slots }
