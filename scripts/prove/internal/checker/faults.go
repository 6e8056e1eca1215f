package checker

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// matchesTarget tells whether a target is one of those that an expectation names. What
// is done to a service as a whole has its name without a number.
func matchesTarget(expected, target string) bool {
	if prefix, several := strings.CutSuffix(expected, "*"); several {
		return strings.HasPrefix(target, prefix) || target == strings.TrimSuffix(prefix, "-")
	}
	return expected == target
}

// expectsFault tells whether the scenario wanted such a fault, as long as that. No kind
// means any, and the beginning of a target's name will do.
func (f *index) expectsFault(kind, target string, lasting time.Duration) bool {
	return slices.ContainsFunc(f.Expected.Faults, func(x history.ExpectedFault) bool {
		return (kind == "" || kind == x.Kind) && strings.HasPrefix(x.Target, target) && x.MinDuration >= lasting
	})
}

// checkFaults asks that what was to happen happened, and met work.
func checkFaults(f *index) Check {
	var bad violations
	if len(f.Expected.Faults)+len(f.Expected.Failpoints)+len(f.Expected.Poison) == 0 {
		bad.add("the scenario expects nothing to happen: the run proves nothing")
	}
	counted, requests, behind := 0, 0, 0
	for _, fault := range f.Faults {
		if fault.MetWork() {
			counted++
			requests += fault.Requests
			behind += fault.Backlog
		}
	}
	for _, x := range f.Expected.Faults {
		if !slices.ContainsFunc(f.Faults, func(fault history.Fault) bool {
			return fault.MetWork() && fault.Kind == x.Kind && matchesTarget(x.Target, fault.Target) && fault.Ended.Sub(fault.Began) >= x.MinDuration
		}) {
			bad.add("no %s of %s for %s or more, with work in flight", x.Kind, x.Target, x.MinDuration)
		}
	}
	return bad.check("faults", "every kind of fault happens, with work in flight",
		"%d of %d with work in flight, %d kinds expected; %s requests, %s events behind",
		counted, len(f.Faults), len(f.Expected.Faults), groupThousands(requests), groupThousands(behind))
}

// checkFailpoints asks that processes died at every named place, with different things
// in hand.
func checkFailpoints(f *index) Check {
	var bad violations
	least, reached := 0, summarizeFailpoints(f.Crashes)
	for i, name := range f.Expected.Failpoints {
		events := 0
		if at := slices.IndexFunc(reached, func(p FailpointSummary) bool { return p.Name == name }); at >= 0 {
			events = reached[at].DistinctInFlight
		}
		if events < f.Expected.HitsPerFailpoint {
			bad.add("%s was reached with %d things in hand, not %d", name, events, f.Expected.HitsPerFailpoint)
		}
		if i == 0 || events < least {
			least = events
		}
	}
	return bad.check("crash-points", "processes die at every named place, each time with something else in hand",
		"%d crashes at %d places, each with %d different things in hand or more, of %d wanted",
		len(f.Crashes), len(reached), least, f.Expected.HitsPerFailpoint)
}

// summarizeFailpoints counts crashes by place.
func summarizeFailpoints(crashes []history.Crash) []FailpointSummary {
	times, inHand := map[string]int{}, map[string]map[string]bool{}
	for _, c := range crashes {
		times[c.Failpoint]++
		if inHand[c.Failpoint] == nil {
			inHand[c.Failpoint] = map[string]bool{}
		}
		inHand[c.Failpoint][c.InFlight] = true
	}
	points := []FailpointSummary{}
	for _, name := range sortedKeys(times) {
		points = append(points, FailpointSummary{Name: name, Hits: times[name], DistinctInFlight: len(inHand[name])})
	}
	return points
}

// summarizeFaults sums faults up, by target and kind.
func summarizeFaults(faults []history.Fault) []FaultSummary {
	type which struct{ kind, target string }
	sums, longest := map[which]*FaultSummary{}, map[which]time.Duration{}
	for _, fault := range faults {
		w := which{fault.Kind, fault.Target}
		if sums[w] == nil {
			sums[w] = &FaultSummary{Kind: fault.Kind, Target: fault.Target}
		}
		t := sums[w]
		t.Times++
		t.Requests += fault.Requests
		t.Backlog += fault.Backlog
		if fault.MetWork() {
			t.WithWorkInFlight++
		}
		longest[w] = max(longest[w], fault.Ended.Sub(fault.Began))
	}
	list := []FaultSummary{}
	for w, t := range sums {
		t.Longest = longest[w].Round(time.Millisecond).String()
		list = append(list, *t)
	}
	slices.SortFunc(list, func(a, b FaultSummary) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Kind, b.Kind))
	})
	return list
}
