package account

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/todo/platform/apperr"
)

func TestHashesRunOneForTwoProcessors(t *testing.T) {
	t.Parallel()
	h, err := newHasher()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := cap(h.slots), max(1, runtime.GOMAXPROCS(0)/2); got != want {
		t.Errorf("%d hashes run at once, want %d", got, want)
	}
}

func TestHashWaitsTwoSecondsForItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &hasher{slots: make(chan struct{}, 1)}
		if err := h.acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err := h.hash(t.Context(), "password")
		if waited := time.Since(start); apperr.Of(err).Kind != apperr.Unavailable || waited != 2*time.Second {
			t.Errorf("got %v after %v", err, waited)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _, err = h.compare(ctx, "password", "")
		if waited := time.Since(start); apperr.Of(err).Kind != apperr.Unavailable || waited != 3*time.Second {
			t.Errorf("with a deadline: got %v after %v", err, waited)
		}
		next := make(chan error)
		go func() { next <- h.acquire(t.Context()) }()
		synctest.Wait()
		h.release()
		if err := <-next; err != nil {
			t.Errorf("the next in turn: %v", err)
		}
	})
}

// A comparison without a hash must hash, too: otherwise its time tells that there is no
// such user.
//
// It runs alone: it measures the allocations of the whole process.
func TestCompareHashesAlsoWithoutAHash(t *testing.T) {
	h, err := newHasher()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(h.dummy, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("the hash for users without one is %s", h.dummy)
	}
	hash, err := h.hash(t.Context(), "a password")
	if err != nil {
		t.Fatal(err)
	}
	allocated := func(hash string) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if equal, _, err := h.compare(t.Context(), "another password", hash); equal || err != nil {
			t.Errorf("compared to %q: equal is %t, error %v", hash, equal, err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	for name, hash := range map[string]string{"of a user": hash, "of no user": ""} {
		if got := allocated(hash); got < 19<<20 {
			t.Errorf("comparing the hash %s took %d bytes, want those of Argon2id", name, got)
		}
	}
}

func TestCorruptHashIsAnError(t *testing.T) {
	t.Parallel()
	h, err := newHasher()
	if err != nil {
		t.Fatal(err)
	}
	for _, hash := range []string{"x", "$argon2i$v=19$m=19456,t=2,p=1$AAAA$AAAA", "$argon2id$v=18$m=19456,t=2,p=1$AAAA$AAAA"} {
		if equal, _, err := h.compare(t.Context(), "a password", hash); equal || apperr.Of(err).Kind != apperr.Internal {
			t.Errorf("%s: equal is %t, error %v", hash, equal, err)
		}
	}
}
