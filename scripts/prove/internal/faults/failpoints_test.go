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
	return &failpointRun{
		step: Step{Target: cluster.Stats, Failpoints: points, Times: times}, recorder: &Recorder{},
		random: rand.New(rand.NewPCG(1, 2)), armed: map[string]arming{},
	}
}

func (r *failpointRun) crash(node, failpoint, inFlight string) {
	r.recorder.RecordExit(cluster.Exit{Node: node, Failpoint: failpoint, InFlight: inFlight})
}

func TestFailpointRunCompletesWhenEachFailpointWasHitOftenEnough(t *testing.T) {
	t.Parallel()
	r := newTestRun(3, "here", "there", deadLetterFailpoint)
	crashes := 0
	for len(r.remaining()) > 0 {
		point, n, found := strings.Cut(r.arm("one"), ":")
		times, err := strconv.Atoi(n)
		if !found || err != nil || times < minHit || times > maxHit || point == deadLetterFailpoint && times > maxDeadLetterHit {
			t.Fatalf("armed with %q:%q", point, n)
		}
		if r.isAnyArmedWith(deadLetterFailpoint) != (point == deadLetterFailpoint) {
			t.Errorf("armed with %s, isAnyArmedWith is %v", point, r.isAnyArmedWith(deadLetterFailpoint))
		}
		crashes++
		r.crash("stats-service-1", point, strconv.Itoa(crashes))
	}
	if crashes != 9 {
		t.Errorf("%d crashes, want 9", crashes)
	}
	if point := r.arm("one"); point != "" || r.armed["one"].failpoint != "" {
		t.Errorf("armed with %q after completion", point)
	}
}

func TestFailpointRunCountsHitsOfItsServiceWithDifferentWorkInFlight(t *testing.T) {
	t.Parallel()
	r := newTestRun(2, "here")
	for range 5 {
		r.crash("stats-service-1", "here", "3:7")
	}
	r.crash("notification-service-1", "here", "3:9")
	if got := r.remaining()["here"]; got != 1 {
		t.Errorf("%d hits are needed after one kind of work in flight, want 1", got)
	}
	r.crash("stats-service-2", "here", "3:8")
	if got := r.remaining(); len(got) != 0 {
		t.Errorf("%v hits are needed after two", got)
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
	r.armed["armed"], r.armed["idle"] = arming{"here", long}, arming{"", long}
	if stalled := r.stalledNodes(); len(stalled) != 1 || stalled[0] != "armed" {
		t.Errorf("%v are stalled, want the armed one", stalled)
	}
	if next := r.arm("armed"); !strings.HasPrefix(next, "here:") || len(r.stalledNodes()) != 0 {
		t.Errorf("armed with %q after a restart, %v are stalled", next, r.stalledNodes())
	}
}
