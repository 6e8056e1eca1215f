package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/todo/scripts/prove/internal/cluster"
)

const (
	// A process that does not hit its failpoint within this time is killed, and the next one
	// armed.
	hitTimeout = 10 * time.Second
	// An unarmed replica is restarted after this time if failpoints are still outstanding, so
	// that it can be armed.
	idleTimeout = 2 * time.Second
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
	mu         sync.Mutex
	random     *rand.Rand
	remaining  map[string]int    // hits that are still needed, by failpoint
	failpoints []string          // in the order of the step
	seen       map[string]bool   // failpoint and work in flight
	armed      map[string]string // by node: the failpoint of its current process
	armedAt    map[string]time.Time
}

func newFailpointRun(s Step, random *rand.Rand) *failpointRun {
	r := &failpointRun{
		random: random, remaining: map[string]int{}, failpoints: s.Failpoints, seen: map[string]bool{},
		armed: map[string]string{}, armedAt: map[string]time.Time{},
	}
	for _, failpoint := range s.Failpoints {
		r.remaining[failpoint] = s.Times
	}
	return r
}

// runFailpoints arms every replica of a service at each start, until all failpoints were hit as
// often as the step says or the budget is spent.
func (i *Injector) runFailpoints(ctx context.Context, s Step, random *rand.Rand) error {
	r := newFailpointRun(s, random)
	limit := time.Duration(len(s.Failpoints)*s.Times) * averageCrashTime
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w in %s", errNotHit, limit))
	defer cancel()
	exits, stop := i.Recorder.subscribe()
	defer stop()
	replicas := i.Cluster.Replicas(s.Target)
	for _, replica := range replicas {
		node := i.Cluster.Node(replica.Name)
		node.ArmFailpoints(func() string { return r.arm(node.Name()) })
		if err := i.kill(ctx, node.Name()); err != nil {
			return err
		}
	}
	err := i.driveFailpoints(ctx, s, r, exits)
	for _, replica := range replicas {
		node := i.Cluster.Node(replica.Name)
		node.ArmFailpoints(nil)
		if r.isArmed(node.Name()) { // it would crash later, outside the run
			err = errors.Join(err, i.kill(ctx, node.Name()))
		}
	}
	for _, replica := range replicas {
		if err := i.awaitRecovery(ctx, i.Cluster.Node(replica.Name)); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return err
}

func (i *Injector) kill(ctx context.Context, node string) error {
	return i.inject(ctx, Kill, node, func() error {
		i.Cluster.Node(node).Kill()
		return nil
	})
}

var errNotHit = errors.New("not all failpoints were hit")

// driveFailpoints records hits and restarts stalled nodes until the run is complete. If the
// budget is spent it returns nil, and the checker reports the failpoints without enough hits.
func (i *Injector) driveFailpoints(ctx context.Context, s Step, r *failpointRun, exits <-chan cluster.Exit) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for !r.isComplete() {
		select {
		case exit := <-exits:
			if strings.HasPrefix(exit.Node, s.Target) && exit.Failpoint != "" {
				r.recordHit(exit)
			}
		case <-tick.C:
			if r.isAnyArmedWith(deadLetterFailpoint) {
				if err := i.writePoison(ctx, time.Now().Add(-poisonInterval)); err != nil {
					return err
				}
			}
			for _, name := range r.stalledNodes() {
				if err := i.kill(ctx, name); err != nil {
					return err
				}
			}
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errNotHit) {
				i.Log.WarnContext(ctx, "not all failpoints were hit", "service", s.Target, "remaining", r.remaining)
				return nil
			}
			return context.Cause(ctx)
		}
	}
	return nil
}

// arm draws the failpoint of a node's next process, from those that need most hits.
func (r *failpointRun) arm(node string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.armed[node], r.armedAt[node] = "", time.Now()
	failpoint := r.mostNeeded()
	if failpoint == "" {
		return ""
	}
	r.armed[node] = failpoint
	highest := maxHit
	if failpoint == deadLetterFailpoint {
		highest = maxDeadLetterHit
	}
	return fmt.Sprintf("%s:%d", failpoint, minHit+r.random.IntN(highest-minHit+1))
}

// mostNeeded returns the failpoint that needs most hits beyond the processes armed with it, or
// "".
func (r *failpointRun) mostNeeded() string {
	best, mostHits := "", 0
	for _, n := range r.random.Perm(len(r.failpoints)) {
		failpoint := r.failpoints[n]
		hits := r.remaining[failpoint]
		for _, armed := range r.armed {
			if armed == failpoint {
				hits--
			}
		}
		if hits > mostHits {
			best, mostHits = failpoint, hits
		}
	}
	return best
}

// recordHit counts a crash, unless one at the same failpoint had the same work in flight.
func (r *failpointRun) recordHit(exit cluster.Exit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := exit.Failpoint + " " + exit.InFlight
	if !r.seen[key] {
		r.seen[key] = true
		r.remaining[exit.Failpoint]--
	}
}

func (r *failpointRun) isComplete() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, hits := range r.remaining {
		if hits > 0 {
			return false
		}
	}
	return true
}

func (r *failpointRun) isAnyArmedWith(failpoint string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, armed := range r.armed {
		if armed == failpoint {
			return true
		}
	}
	return false
}

func (r *failpointRun) isArmed(node string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.armed[node] != ""
}

// stalledNodes returns the nodes that have been armed for too long, and those that are unarmed
// although hits are needed.
func (r *failpointRun) stalledNodes() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	needed := r.mostNeeded() != ""
	var stalled []string
	for node, since := range r.armedAt {
		waited := time.Since(since)
		if r.armed[node] != "" && waited > hitTimeout || r.armed[node] == "" && needed && waited > idleTimeout {
			stalled = append(stalled, node)
		}
	}
	slices.Sort(stalled)
	return stalled
}
