package app

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/todo/platform/testenv"
)

const (
	attackers          = 100 // addresses
	attemptsOfAttacker = 10  // on one account: as many as an address may make
	accountLimit       = 100 // an hour, from all addresses that the account has not signed in from
)

// trySignIn sends an attempt to sign Ann in from an address, and returns the status.
func (f signInFixture) trySignIn(client *http.Client, address, password string) int {
	f.Helper()
	body := fmt.Sprintf(`{"email":"ann@example.com","password":%q}`, password)
	r, err := http.NewRequestWithContext(f.Context(), http.MethodPost, "http://"+f.cfg.HTTP.Addr+"/sessions", strings.NewReader(body))
	if err != nil {
		f.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Forwarded-For", address)
	response, err := client.Do(r)
	if err != nil {
		f.Error(err)
		return 0
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	if response.StatusCode == http.StatusTooManyRequests && response.Header.Get("Retry-After") == "" {
		f.Error("429 without Retry-After")
	}
	return response.StatusCode
}

// attack tries 1,000 wrong passwords of Ann from 100 addresses in turn, with a pause between
// two attempts, and so many at once at most. It returns the number of responses by status.
func (f signInFixture) attack(concurrent int, pause time.Duration) map[int]int {
	f.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: concurrent}}
	defer client.CloseIdleConnections()
	attempts := make(chan int)
	var mu sync.Mutex
	statuses := map[int]int{}
	var workers sync.WaitGroup
	for range concurrent {
		workers.Go(func() {
			for i := range attempts {
				got := f.trySignIn(client, fmt.Sprintf("10.1.0.%d", i%attackers), fmt.Sprintf("wrong password %d", i))
				mu.Lock()
				statuses[got]++
				mu.Unlock()
			}
		})
	}
	for i := range attackers * attemptsOfAttacker {
		attempts <- i
		<-time.After(pause)
	}
	close(attempts)
	workers.Wait()
	return statuses
}

func TestAttackedAccountIsUsableFromAnAddressThatItHasSignedInFrom(t *testing.T) {
	t.Parallel()
	f := serveWithSignIn(t, migratedDatabase(t), newPrefix(), trustThisMachine)
	f.signUp("ann@example.com")
	const known, unknown = "192.0.2.1", "192.0.2.2"
	await := func(what, address string, want int) {
		t.Helper()
		testenv.Eventually(t, what, func() bool { return f.trySignIn(f.client, address, password) == want })
	}
	await("Ann has signed in", known, http.StatusCreated)
	got := f.attack(4, 0)
	// A busy machine may answer 503. Such an attempt does not count.
	if got[http.StatusUnauthorized] > accountLimit || got[http.StatusUnauthorized]+got[http.StatusTooManyRequests]+got[http.StatusServiceUnavailable] != attackers*attemptsOfAttacker {
		t.Errorf("responses by status: %v, want at most %d comparisons of a password, and then 429", got, accountLimit)
	}
	await("an attempt from an unknown address is refused", unknown, http.StatusTooManyRequests)
	await("Ann signs in from the known address", known, http.StatusCreated)
	t.Logf("responses by status: %v", got)
}
