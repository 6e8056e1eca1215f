package checker

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// matchesTarget reports whether the target is an expected one. An expected target
// "stats-service-*" matches each replica and the service as a whole.
func matchesTarget(expected, target string) bool {
	if prefix, several := strings.CutSuffix(expected, "*"); several {
		return strings.HasPrefix(target, prefix) || target == strings.TrimSuffix(prefix, "-")
	}
	return expected == target
}

// expectsFault reports whether the scenario has a fault of that kind and minimum duration. An
// empty kind matches all; target is a prefix.
func (ix *index) expectsFault(kind, target string, lasting time.Duration) bool {
	return slices.ContainsFunc(ix.Expected.Faults, func(x history.ExpectedFault) bool {
		return (kind == "" || kind == x.Kind) && strings.HasPrefix(x.Target, target) && x.MinDuration >= lasting
	})
}

// checkFaults checks that every expected fault happened while work was in flight.
func checkFaults(ix *index) Check {
	var found violations
	if len(ix.Expected.Faults)+len(ix.Expected.Failpoints)+len(ix.Expected.Poison) == 0 {
		found.add("the scenario expects no fault: the run proves nothing")
	}
	counted, requests, behind := 0, 0, 0
	for _, fault := range ix.Faults {
		if fault.MetWork() {
			counted++
			requests += fault.Requests
			behind += fault.Backlog
		}
	}
	for _, x := range ix.Expected.Faults {
		if !slices.ContainsFunc(ix.Faults, func(fault history.Fault) bool {
			return fault.MetWork() && fault.Kind == x.Kind && matchesTarget(x.Target, fault.Target) && fault.Ended.Sub(fault.Began) >= x.MinDuration
		}) {
			found.add("no %s of %s for %s or more, with work in flight", x.Kind, x.Target, x.MinDuration)
		}
	}
	return found.check("faults", "every kind of fault happens, with work in flight",
		"%d of %d with work in flight, %d expected; %s requests in flight, %s events behind",
		counted, len(ix.Faults), len(ix.Expected.Faults), groupThousands(requests), groupThousands(behind))
}

// checkFailpoints checks that processes died at every expected failpoint, with different work in
// flight.
func checkFailpoints(ix *index) Check {
	var found violations
	fewest, hit := 0, summarizeFailpoints(ix.Crashes)
	for i, name := range ix.Expected.Failpoints {
		events := 0
		if at := slices.IndexFunc(hit, func(p FailpointSummary) bool { return p.Name == name }); at >= 0 {
			events = hit[at].DistinctInFlight
		}
		if events < ix.Expected.HitsPerFailpoint {
			found.add("%s was hit with %d different pieces of work in flight, not %d", name, events, ix.Expected.HitsPerFailpoint)
		}
		if i == 0 || events < fewest {
			fewest = events
		}
	}
	return found.check("failpoints", "processes die at every failpoint, each time with other work in flight",
		"%d crashes at %d failpoints, each with at least %d of %d expected different pieces of work in flight",
		len(ix.Crashes), len(hit), fewest, ix.Expected.HitsPerFailpoint)
}

// summarizeFailpoints counts crashes by failpoint.
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

// summarizeFaults aggregates faults by target and kind.
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
