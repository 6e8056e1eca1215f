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
	r := newTestRun(3, "here", "there", deadLetterFailpoint)
	crashes := 0
	for !r.isComplete() {
		point, n, found := strings.Cut(r.arm("one"), ":")
		times, err := strconv.Atoi(n)
		if !found || err != nil || times < minHit || times > maxHit || point == deadLetterFailpoint && times > maxDeadLetterHit {
			t.Fatalf("armed with %q:%q", point, n)
		}
		if r.isAnyArmedWith(deadLetterFailpoint) != (point == deadLetterFailpoint) {
			t.Errorf("armed with %s, isAnyArmedWith is %v", point, r.isAnyArmedWith(deadLetterFailpoint))
		}
		crashes++
		r.recordHit(cluster.Exit{Node: "one", Failpoint: point, InFlight: strconv.Itoa(crashes)})
	}
	if crashes != 9 {
		t.Errorf("%d crashes, want 9", crashes)
	}
	if point := r.arm("one"); point != "" || r.isArmed("one") {
		t.Errorf("armed with %q after completion", point)
	}
}

func TestFailpointRunCountsHitsWithTheSameWorkInFlightOnce(t *testing.T) {
	t.Parallel()
	r := newTestRun(2, "here")
	for range 5 {
		r.recordHit(cluster.Exit{Failpoint: "here", InFlight: "3:7"})
	}
	if r.isComplete() {
		t.Error("complete after one kind of work in flight")
	}
	r.recordHit(cluster.Exit{Failpoint: "here", InFlight: "3:8"})
	if !r.isComplete() {
		t.Error("not complete after two")
	}
}

func TestFailpointRunArmsNoMoreNodesThanHitsAreNeeded(t *testing.T) {
	t.Parallel()
	r := newTestRun(1, "here", "there")
	one, two, three := r.arm("one"), r.arm("two"), r.arm("three")
	if one == "" || two == "" || one[:4] == two[:4] || three != "" {
		t.Errorf("armed with %q, %q and %q", one, two, three)
	}
}

func TestFailpointRunReportsNodesThatDoNotCrash(t *testing.T) {
	t.Parallel()
	r := newTestRun(1, "here")
	r.arm("armed")
	r.arm("idle") // no failpoint is left for it
	if stalled := r.stalledNodes(); len(stalled) != 0 {
		t.Errorf("%v are stalled at once", stalled)
	}
	long := time.Now().Add(-time.Minute)
	r.armedAt["armed"], r.armedAt["idle"] = long, long
	if stalled := r.stalledNodes(); len(stalled) != 1 || stalled[0] != "armed" {
		t.Errorf("%v are stalled, want the armed one", stalled)
	}
	r.armed["armed"] = "" // it crashed elsewhere
	if stalled := r.stalledNodes(); len(stalled) != 2 {
		t.Errorf("%v are stalled, want both", stalled)
	}
}
