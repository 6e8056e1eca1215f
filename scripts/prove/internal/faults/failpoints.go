package faults

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"example.com/todo/platform/retry"
)

const (
	// A process that does not hit its failpoint within this time is killed, and the next one
	// armed.
	hitTimeout = 10 * time.Second
	// The budget of the whole run, per crash.
	averageCrashTime = 10 * time.Second
	// Only dead letters reach the dead-letter failpoint, so poison is written this often.
	poisonInterval      = 8 * time.Second
	deadLetterFailpoint = "after_dead_letter_before_mark"
	// The n-th hit is fatal, with n drawn from this range. It is never the first: a process that
	// has just restarted would crash on the same record again.
	minHit, maxHit   = 2, 12
	maxDeadLetterHit = 3
)

// failpointRun arms the replicas of one service with failpoints until each has been hit often
// enough.
type failpointRun struct {
	step     Step
	recorder *Recorder

	mu     sync.Mutex
	random *rand.Rand
	armed  map[string]arming // by node
}

// arming is the failpoint of a node's current process, "" for none.
type arming struct {
	failpoint string
	at        time.Time
}

// runFailpoints arms every replica of a service at each start, until all failpoints were hit as
// often as the step says or the budget is spent.
func (i *Injector) runFailpoints(ctx context.Context, s Step, random *rand.Rand) error {
	r := &failpointRun{step: s, recorder: i.Recorder, random: random, armed: map[string]arming{}}
	replicas := i.Cluster.Replicas(s.Target)
	for _, replica := range replicas {
		i.Cluster.Node(replica.Name).ArmFailpoints(func() string { return r.arm(replica.Name) })
		i.kill(ctx, replica.Name)
	}
	err := i.driveFailpoints(ctx, r)
	for _, replica := range replicas {
		i.Cluster.Node(replica.Name).ArmFailpoints(nil)
	}
	for node, armed := range r.armed {
		if armed.failpoint != "" { // it would crash later, outside the run
			i.kill(ctx, node)
		}
	}
	for _, replica := range replicas {
		err = errors.Join(err, i.awaitRecovery(ctx, i.Cluster.Node(replica.Name)))
	}
	return err
}

func (i *Injector) kill(ctx context.Context, node string) {
	_ = i.inject(ctx, Kill, node, func() error {
		i.Cluster.Node(node).Kill()
		return nil
	})
}

// driveFailpoints restarts stalled nodes until the run is complete. If the budget is spent it
// returns nil, and the checker reports the failpoints without enough hits.
func (i *Injector) driveFailpoints(ctx context.Context, r *failpointRun) error {
	end := time.Now().Add(time.Duration(len(r.step.Failpoints)*r.step.Times) * averageCrashTime)
	for remaining := r.remaining(); len(remaining) > 0; remaining = r.remaining() {
		if time.Now().After(end) {
			i.Log.WarnContext(ctx, "not all failpoints were hit", "service", r.step.Target, "remaining", remaining)
			return nil
		}
		if r.isAnyArmedWith(deadLetterFailpoint) {
			if err := i.writePoison(ctx, time.Now().Add(-poisonInterval)); err != nil {
				return err
			}
		}
		for _, node := range r.stalledNodes() {
			i.kill(ctx, node)
		}
		if !retry.Wait(ctx, time.Second) {
			return context.Cause(ctx)
		}
	}
	return nil
}

// remaining returns the hits that are still needed, by failpoint. Crashes at the same failpoint
// with the same work in flight are one hit.
func (r *failpointRun) remaining() map[string]int {
	remaining, seen := map[string]int{}, map[string]bool{}
	for _, failpoint := range r.step.Failpoints {
		remaining[failpoint] = r.step.Times
	}
	_, crashes, _ := r.recorder.Recorded()
	for _, crash := range crashes {
		hit := crash.Failpoint + " " + crash.InFlight
		if strings.HasPrefix(crash.Target, r.step.Target) && !seen[hit] {
			seen[hit] = true
			remaining[crash.Failpoint]--
		}
	}
	maps.DeleteFunc(remaining, func(_ string, hits int) bool { return hits <= 0 })
	return remaining
}

// arm draws the failpoint of a node's next process, from those that need most hits.
func (r *failpointRun) arm(node string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.armed, node)
	failpoint := r.mostNeeded()
	r.armed[node] = arming{failpoint, time.Now()}
	if failpoint == "" {
		return ""
	}
	highest := maxHit
	if failpoint == deadLetterFailpoint {
		highest = maxDeadLetterHit
	}
	return fmt.Sprintf("%s:%d", failpoint, minHit+r.random.IntN(highest-minHit+1))
}

// mostNeeded returns the failpoint that needs most hits beyond the processes armed with it, or
// "".
func (r *failpointRun) mostNeeded() string {
	remaining := r.remaining()
	for _, armed := range r.armed {
		remaining[armed.failpoint]--
	}
	best, mostHits := "", 0
	for _, n := range r.random.Perm(len(r.step.Failpoints)) {
		failpoint := r.step.Failpoints[n]
		if hits := remaining[failpoint]; hits > mostHits {
			best, mostHits = failpoint, hits
		}
	}
	return best
}

func (r *failpointRun) isAnyArmedWith(failpoint string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, armed := range r.armed {
		if armed.failpoint == failpoint {
			return true
		}
	}
	return false
}

// stalledNodes returns the nodes that have been armed for too long.
func (r *failpointRun) stalledNodes() (stalled []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for node, armed := range r.armed {
		if armed.failpoint != "" && time.Since(armed.at) > hitTimeout {
			stalled = append(stalled, node)
		}
	}
	return stalled
}
