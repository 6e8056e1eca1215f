package faults

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/todo/scripts/prove/internal/cluster"
)

func newTestRun(times int, points ...string) *failpointRun {
	return newFailpointRun(Step{Failpoints: points, Times: times}, rand.New(rand.NewPCG(1, 2)))
}

func TestFailpointRunCompletesWhenEachFailpointWasHitOftenEnough(t *testing.T) {
	t.Parallel()
	c := newTestRun(3, "here", "there", deadLetterFailpoint)
	crashes := 0
	for !c.isComplete() {
		point, n, found := strings.Cut(c.arm("one"), ":")
		times, err := strconv.Atoi(n)
		if !found || err != nil || times < minHit || times > maxHit || point == deadLetterFailpoint && times > maxDeadLetterHit {
			t.Fatalf("armed with %q:%q", point, n)
		}
		if c.isAnyArmedWith(deadLetterFailpoint) != (point == deadLetterFailpoint) {
			t.Errorf("armed with %s, and wants dead letters: %v", point, c.isAnyArmedWith(deadLetterFailpoint))
		}
		crashes++
		c.recordHit(cluster.Exit{Node: "one", Failpoint: point, InFlight: strconv.Itoa(crashes)})
	}
	if crashes != 9 {
		t.Errorf("%d crashes, want 9", crashes)
	}
	if point := c.arm("one"); point != "" || c.isArmed("one") {
		t.Errorf("armed with %q after the end", point)
	}
}

func TestFailpointRunCountsHitsWithTheSameWorkInFlightOnce(t *testing.T) {
	t.Parallel()
	c := newTestRun(2, "here")
	for range 5 {
		c.recordHit(cluster.Exit{Failpoint: "here", InFlight: "3:7"})
	}
	if c.isComplete() {
		t.Error("over with one thing in hand")
	}
	c.recordHit(cluster.Exit{Failpoint: "here", InFlight: "3:8"})
	if !c.isComplete() {
		t.Error("not over with two")
	}
}

func TestFailpointRunArmsNoMoreNodesThanHitsAreNeeded(t *testing.T) {
	t.Parallel()
	c := newTestRun(1, "here", "there")
	one, two, three := c.arm("one"), c.arm("two"), c.arm("three")
	if one == "" || two == "" || one[:4] == two[:4] || three != "" {
		t.Errorf("armed with %q, %q and %q", one, two, three)
	}
}

func TestFailpointRunReportsNodesThatDoNotCrash(t *testing.T) {
	t.Parallel()
	c := newTestRun(1, "here")
	c.arm("armed")
	c.arm("idle") // no failpoint is left for it
	if stuck := c.stalledNodes(); len(stuck) != 0 {
		t.Errorf("%v are stuck at once", stuck)
	}
	long := time.Now().Add(-time.Minute)
	c.armedAt["armed"], c.armedAt["idle"] = long, long
	if stuck := c.stalledNodes(); len(stuck) != 1 || stuck[0] != "armed" {
		t.Errorf("%v are stuck, want the armed one", stuck)
	}
	c.armed["armed"] = "" // it crashed elsewhere
	if stuck := c.stalledNodes(); len(stuck) != 2 {
		t.Errorf("%v are stuck, want both", stuck)
	}
}
