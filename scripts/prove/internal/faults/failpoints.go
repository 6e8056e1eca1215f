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
	c := &failpointRun{
		random: random, remaining: map[string]int{}, failpoints: s.Failpoints, seen: map[string]bool{},
		armed: map[string]string{}, armedAt: map[string]time.Time{},
	}
	for _, point := range s.Failpoints {
		c.remaining[point] = s.Times
	}
	return c
}

// runFailpoints arms every replica of a service at each start, until all failpoints were hit as
// often as the step says or the budget is spent.
func (i *Injector) runFailpoints(ctx context.Context, s Step, random *rand.Rand) error {
	c := newFailpointRun(s, random)
	limit := time.Duration(len(s.Failpoints)*s.Times) * averageCrashTime
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w in %s", errNotHit, limit))
	defer cancel()
	ends, stop := i.Recorder.subscribe()
	defer stop()
	replicas := i.Cluster.Replicas(s.Target)
	for _, r := range replicas {
		m := i.Cluster.Node(r.Name)
		m.ArmFailpoints(func() string { return c.arm(m.Name()) })
		if err := i.kill(ctx, m.Name()); err != nil {
			return err
		}
	}
	err := i.driveFailpoints(ctx, s, c, ends)
	for _, r := range replicas {
		m := i.Cluster.Node(r.Name)
		m.ArmFailpoints(nil)
		if c.isArmed(m.Name()) { // it would crash later, outside the run
			err = errors.Join(err, i.kill(ctx, m.Name()))
		}
	}
	for _, r := range replicas {
		if err := i.awaitRecovery(ctx, i.Cluster.Node(r.Name)); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return err
}

func (i *Injector) kill(ctx context.Context, member string) error {
	return i.inject(ctx, Kill, member, func() error {
		i.Cluster.Node(member).Kill()
		return nil
	})
}

var errNotHit = errors.New("not all failpoints were hit")

// driveFailpoints records hits and restarts stalled nodes until the run is complete. If the
// budget is spent it returns nil, and the checker reports the failpoints without enough hits.
func (i *Injector) driveFailpoints(ctx context.Context, s Step, c *failpointRun, ends <-chan cluster.Exit) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for !c.isComplete() {
		select {
		case end := <-ends:
			if strings.HasPrefix(end.Node, s.Target) && end.Failpoint != "" {
				c.recordHit(end)
			}
		case <-tick.C:
			if c.isAnyArmedWith(deadLetterFailpoint) {
				if err := i.writePoison(ctx, time.Now().Add(-poisonInterval)); err != nil {
					return err
				}
			}
			for _, name := range c.stalledNodes() {
				if err := i.kill(ctx, name); err != nil {
					return err
				}
			}
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errNotHit) {
				i.Log.WarnContext(ctx, "not all failpoints were hit", "service", s.Target, "remaining", c.remaining)
				return nil
			}
			return context.Cause(ctx)
		}
	}
	return nil
}

// arm draws the failpoint of a node's next process, from those that need most hits.
func (c *failpointRun) arm(member string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed[member], c.armedAt[member] = "", time.Now()
	point := c.mostNeeded()
	if point == "" {
		return ""
	}
	c.armed[member] = point
	last := maxHit
	if point == deadLetterFailpoint {
		last = maxDeadLetterHit
	}
	return fmt.Sprintf("%s:%d", point, minHit+c.random.IntN(last-minHit+1))
}

// mostNeeded returns the failpoint that needs most hits beyond the processes armed with it, or
// "".
func (c *failpointRun) mostNeeded() string {
	best, lacks := "", 0
	for _, n := range c.random.Perm(len(c.failpoints)) {
		point := c.failpoints[n]
		lack := c.remaining[point]
		for _, armed := range c.armed {
			if armed == point {
				lack--
			}
		}
		if lack > lacks {
			best, lacks = point, lack
		}
	}
	return best
}

// recordHit counts a crash, unless one at the same failpoint had the same work in flight.
func (c *failpointRun) recordHit(end cluster.Exit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := end.Failpoint + " " + end.InFlight
	if !c.seen[key] {
		c.seen[key] = true
		c.remaining[end.Failpoint]--
	}
}

func (c *failpointRun) isComplete() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, left := range c.remaining {
		if left > 0 {
			return false
		}
	}
	return true
}

func (c *failpointRun) isAnyArmedWith(point string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, armed := range c.armed {
		if armed == point {
			return true
		}
	}
	return false
}

func (c *failpointRun) isArmed(member string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.armed[member] != ""
}

// stalledNodes returns the nodes that have been armed for too long, and those that are unarmed
// although hits are needed.
func (c *failpointRun) stalledNodes() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	idle := c.mostNeeded() != ""
	var stuck []string
	for member, since := range c.armedAt {
		waits := time.Since(since)
		if c.armed[member] != "" && waits > hitTimeout || c.armed[member] == "" && idle && waits > idleTimeout {
			stuck = append(stuck, member)
		}
	}
	slices.Sort(stuck)
	return stuck
}
