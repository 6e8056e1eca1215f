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
	// A place that is not reached in that time is given another chance, by a new process.
	crashPatience = 10 * time.Second
	// A process that was not armed, when another one did not die of what was wanted.
	idlePatience = 2 * time.Second
	// One crash may take so long, on an average.
	crashLimit = 10 * time.Second
	// So often is poison planted for a place that only dead letters lead to.
	poisonEvery = 8 * time.Second
	deadLetter  = "after_dead_letter_before_mark"
	// The n-th time is drawn from these: never the first, at which a process that has just
	// come back would die of the record that it died of before.
	soonest, latest = 2, 12
	latestLetter    = 3
)

// campaign has the replicas of one service die at named places, until each was reached often enough.
type campaign struct {
	mu     sync.Mutex
	random *rand.Rand
	left   map[string]int    // by place
	order  []string          // of the places
	met    map[string]bool   // place and what was in hand
	armed  map[string]string // by member: the place at which its process is to die
	since  map[string]time.Time
}

func newCampaign(s Step, random *rand.Rand) *campaign {
	c := &campaign{
		random: random, left: map[string]int{}, order: s.Points, met: map[string]bool{},
		armed: map[string]string{}, since: map[string]time.Time{},
	}
	for _, point := range s.Points {
		c.left[point] = s.Times
	}
	return c
}

// crash arms every replica of a service at each start, until all places were reached as often as wanted.
func (i *Injector) crash(ctx context.Context, s Step, random *rand.Rand) error {
	c := newCampaign(s, random)
	limit := time.Duration(len(s.Points)*s.Times) * crashLimit
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w in %s", errNotReached, limit))
	defer cancel()
	ends, stop := i.Ledger.watch()
	defer stop()
	replicas := i.System.Replicas(s.Target)
	for _, r := range replicas {
		m := i.System.Member(r.Name)
		m.Arm(func() string { return c.next(m.Name()) })
		if err := i.kill(ctx, m.Name()); err != nil {
			return err
		}
	}
	err := i.follow(ctx, s, c, ends)
	for _, r := range replicas {
		m := i.System.Member(r.Name)
		m.Arm(nil)
		if c.isArmed(m.Name()) { // it would die later, when nobody reckons with it
			err = errors.Join(err, i.kill(ctx, m.Name()))
		}
	}
	for _, r := range replicas {
		if err := i.well(ctx, i.System.Member(r.Name)); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return err
}

func (i *Injector) kill(ctx context.Context, member string) error {
	return i.fault(ctx, Kill, member, func() error {
		i.System.Member(member).Kill()
		return nil
	})
}

var errNotReached = errors.New("not all places were reached")

// follow looks on until the campaign is over. Places that were not reached are for the verdict to tell.
func (i *Injector) follow(ctx context.Context, s Step, c *campaign, ends <-chan cluster.End) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for !c.over() {
		select {
		case end := <-ends:
			if strings.HasPrefix(end.Member, s.Target) && end.Point != "" {
				c.reached(end)
			}
		case <-tick.C:
			if c.wants(deadLetter) {
				if err := i.poison(ctx, time.Now().Add(-poisonEvery)); err != nil {
					return err
				}
			}
			for _, name := range c.stuck() {
				if err := i.kill(ctx, name); err != nil {
					return err
				}
			}
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errNotReached) {
				i.Log.WarnContext(ctx, "not all places were reached", "service", s.Target, "left", c.left)
				return nil
			}
			return context.Cause(ctx)
		}
	}
	return nil
}

// next draws the place at which a member's next process is to die: one of those that lack most.
func (c *campaign) next(member string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed[member], c.since[member] = "", time.Now()
	point := c.lacking()
	if point == "" {
		return ""
	}
	c.armed[member] = point
	last := latest
	if point == deadLetter {
		last = latestLetter
	}
	return fmt.Sprintf("%s:%d", point, soonest+c.random.IntN(last-soonest+1))
}

// lacking returns a place that is wanted more often than processes are armed with it, or "".
func (c *campaign) lacking() string {
	best, lacks := "", 0
	for _, n := range c.random.Perm(len(c.order)) {
		point := c.order[n]
		lack := c.left[point]
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

// reached counts a crash, unless it met what another met at that place.
func (c *campaign) reached(end cluster.End) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := end.Point + " " + end.InHand
	if !c.met[key] {
		c.met[key] = true
		c.left[end.Point]--
	}
}

func (c *campaign) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, left := range c.left {
		if left > 0 {
			return false
		}
	}
	return true
}

func (c *campaign) wants(point string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, armed := range c.armed {
		if armed == point {
			return true
		}
	}
	return false
}

func (c *campaign) isArmed(member string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.armed[member] != ""
}

// stuck returns the members that have been armed for too long, and those that are not armed although
// there is something to die of.
func (c *campaign) stuck() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	idle := c.lacking() != ""
	var stuck []string
	for member, since := range c.since {
		waits := time.Since(since)
		if c.armed[member] != "" && waits > crashPatience || c.armed[member] == "" && idle && waits > idlePatience {
			stuck = append(stuck, member)
		}
	}
	slices.Sort(stuck)
	return stuck
}
