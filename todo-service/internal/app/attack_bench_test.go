package app

import (
	"io"
	"net/http"
	"runtime/metrics"
	"slices"
	"sync"
	"testing"
	"time"

	"example.com/todo/platform/testenv"
)

const (
	readers         = 8
	readerPause     = 20 * time.Millisecond
	quietTime       = 30 * time.Second // how long the readers are measured before the attack
	attackTime      = 60 * time.Second
	minSamples      = 1000      // of which 10 are slower than the 99th percentile
	maxLatencyRatio = 2.0       // of the 99th percentile during the attack to that before
	maxGrowth       = 256 << 20 // bytes; 1,000 hashes at once would take 19 GiB
)

// BenchmarkListsDuringAnAttackOnAnAccount measures how long GET /tasks takes signed-in users
// before and while 100 addresses try 1,000 passwords of an account within a minute. It fails
// when the 99th percentile more than doubles.
func BenchmarkListsDuringAnAttackOnAnAccount(b *testing.B) {
	f := serveWithSignIn(b, migratedDatabase(b), newPrefix(), trustThisMachine, func(cfg *Config) {
		cfg.Log.Level = 12                                        // above every level: the attempts are refused
		cfg.Redis.Addr = testenv.RequireEnv(b, "TEST_REDIS_ADDR") // without the proxy
		cfg.MaxConnsPerClient = attackers + readers
	})
	f.signUp("ann@example.com")
	token := f.signIn("ann@example.com")
	for b.Loop() {
		before := f.measureLists(token, func() { <-time.After(quietTime) })
		quiet, peak := usedMemory(), uint64(0)
		var statuses map[int]int
		during := f.measureLists(token, func() {
			attacked := make(chan struct{})
			go func() {
				statuses = f.attack(attackers, attackTime/(attackers*attemptsOfAttacker))
				close(attacked)
			}()
			for ended := false; !ended; {
				select {
				case <-attacked:
					ended = true
				case <-time.After(20 * time.Millisecond):
					peak = max(peak, usedMemory())
				}
			}
		})
		reportAttack(b, before, during, statuses)
		growth := max(peak, quiet) - quiet
		b.ReportMetric(float64(growth)/(1<<20), "MiB/growth")
		if growth > maxGrowth {
			b.Errorf("the memory grew by %d MiB, at most %d are allowed", growth>>20, maxGrowth>>20)
		}
	}
}

func reportAttack(b *testing.B, before, during []time.Duration, statuses map[int]int) {
	b.Helper()
	quiet, attacked := percentile99(before), percentile99(during)
	ratio := float64(attacked) / float64(quiet)
	b.ReportMetric(0, "ns/op") // the sum of both means nothing
	b.ReportMetric(float64(quiet.Microseconds())/1e3, "p99-ms/before")
	b.ReportMetric(float64(attacked.Microseconds())/1e3, "p99-ms/during")
	b.ReportMetric(ratio, "during/before")
	b.Logf("p99 %v of %d lists before, and %v of %d during the attack, whose responses are %v: a ratio of %.2f, at most %.1f is allowed",
		quiet, len(before), attacked, len(during), statuses, ratio, maxLatencyRatio)
	switch {
	case len(before) < minSamples || len(during) < minSamples:
		b.Logf("fewer than %d lists: the ratio proves nothing", minSamples)
	case ratio > maxLatencyRatio:
		b.Errorf("the 99th percentile grew by %.2f, at most %.1f is allowed", ratio, maxLatencyRatio)
	}
}

// measureLists returns how long each of the users' requests took while work ran.
func (f signInFixture) measureLists(token string, work func()) []time.Duration {
	f.Helper()
	var (
		mu   sync.Mutex
		took []time.Duration
		all  sync.WaitGroup
	)
	done := make(chan struct{})
	for range readers {
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(readerPause):
				}
				began := time.Now()
				f.readList(token)
				mu.Lock()
				took = append(took, time.Since(began))
				mu.Unlock()
			}
		})
	}
	work()
	close(done)
	all.Wait()
	return took
}

func (f signInFixture) readList(token string) {
	r, err := http.NewRequestWithContext(f.Context(), http.MethodGet, "http://"+f.cfg.HTTP.Addr+"/tasks", http.NoBody)
	if err != nil {
		f.Error(err)
		return
	}
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		f.Error(err)
		return
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusServiceUnavailable {
		f.Errorf("GET /tasks: %d", response.StatusCode)
	}
}

func percentile99(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)*99/100]
}

// usedMemory returns the memory that this process has from the operating system.
func usedMemory() uint64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64() - samples[1].Value.Uint64()
}
