package faults

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/todo/scripts/prove/internal/cluster"
)

func newTestCampaign(times int, points ...string) *campaign {
	return newCampaign(Step{Points: points, Times: times}, rand.New(rand.NewPCG(1, 2)))
}

func TestACampaignIsOverWhenEveryPlaceWasReachedOftenEnough(t *testing.T) {
	t.Parallel()
	c := newTestCampaign(3, "here", "there", deadLetter)
	crashes := 0
	for !c.over() {
		point, n, found := strings.Cut(c.next("one"), ":")
		times, err := strconv.Atoi(n)
		if !found || err != nil || times < soonest || times > latest || point == deadLetter && times > latestLetter {
			t.Fatalf("armed with %q:%q", point, n)
		}
		if c.wants(deadLetter) != (point == deadLetter) {
			t.Errorf("armed with %s, and wants dead letters: %v", point, c.wants(deadLetter))
		}
		crashes++
		c.reached(cluster.End{Member: "one", Point: point, InHand: strconv.Itoa(crashes)})
	}
	if crashes != 9 {
		t.Errorf("%d crashes, want 9", crashes)
	}
	if point := c.next("one"); point != "" || c.isArmed("one") {
		t.Errorf("armed with %q after the end", point)
	}
}

func TestTheSameThingInHandCountsOnce(t *testing.T) {
	t.Parallel()
	c := newTestCampaign(2, "here")
	for range 5 {
		c.reached(cluster.End{Point: "here", InHand: "3:7"})
	}
	if c.over() {
		t.Error("over with one thing in hand")
	}
	c.reached(cluster.End{Point: "here", InHand: "3:8"})
	if !c.over() {
		t.Error("not over with two")
	}
}

func TestReplicasAreNotArmedForMoreThanIsLacking(t *testing.T) {
	t.Parallel()
	c := newTestCampaign(1, "here", "there")
	one, two, three := c.next("one"), c.next("two"), c.next("three")
	if one == "" || two == "" || one[:4] == two[:4] || three != "" {
		t.Errorf("armed with %q, %q and %q", one, two, three)
	}
}

func TestAProcessThatDoesNotDieIsGivenAnotherChance(t *testing.T) {
	t.Parallel()
	c := newTestCampaign(1, "here")
	c.next("armed")
	c.next("idle") // nothing is left for it
	if stuck := c.stuck(); len(stuck) != 0 {
		t.Errorf("%v are stuck at once", stuck)
	}
	long := time.Now().Add(-time.Minute)
	c.since["armed"], c.since["idle"] = long, long
	if stuck := c.stuck(); len(stuck) != 1 || stuck[0] != "armed" {
		t.Errorf("%v are stuck, want the armed one", stuck)
	}
	c.armed["armed"] = "" // it died of something else
	if stuck := c.stuck(); len(stuck) != 2 {
		t.Errorf("%v are stuck, want both", stuck)
	}
}
