package checker

import (
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
func checkFaults(ix *index, found *violations) string {
	if len(ix.Expected.Faults)+len(ix.Expected.Failpoints)+len(ix.Expected.Poison) == 0 {
		found.add("the scenario expects no fault: the run proves nothing")
	}
	metWork := slices.DeleteFunc(slices.Clone(ix.Faults), func(fault history.Fault) bool { return !fault.MetWork() })
	requests, behind := 0, 0
	for _, fault := range metWork {
		requests += fault.Requests
		behind += fault.Backlog
	}
	for _, x := range ix.Expected.Faults {
		if !slices.ContainsFunc(metWork, func(fault history.Fault) bool {
			return fault.Kind == x.Kind && matchesTarget(x.Target, fault.Target) && fault.Ended.Sub(fault.Began) >= x.MinDuration
		}) {
			found.add("no %s of %s for %s or more, with work in flight", x.Kind, x.Target, x.MinDuration)
		}
	}
	return sprintf("%d of %d with work in flight, %d expected; %d requests in flight, %d events behind",
		len(metWork), len(ix.Faults), len(ix.Expected.Faults), requests, behind)
}

// checkFailpoints checks that processes died at every expected failpoint, with different work in
// flight.
func checkFailpoints(ix *index, found *violations) string {
	fewest, hit := 0, summarizeFailpoints(ix.Crashes)
	for i, name := range ix.Expected.Failpoints {
		distinct := hit[name].DistinctInFlight
		if distinct < ix.Expected.HitsPerFailpoint {
			found.add("%s was hit with %d different pieces of work in flight, not %d",
				name, distinct, ix.Expected.HitsPerFailpoint)
		}
		if i == 0 || distinct < fewest {
			fewest = distinct
		}
	}
	return sprintf("%d crashes at %d failpoints, each with at least %d of %d expected different pieces of work in flight",
		len(ix.Crashes), len(hit), fewest, ix.Expected.HitsPerFailpoint)
}

// summarizeFailpoints counts crashes by failpoint.
func summarizeFailpoints(crashes []history.Crash) map[string]FailpointSummary {
	sums, seen := map[string]FailpointSummary{}, map[[2]string]bool{}
	for _, c := range crashes {
		sum := sums[c.Failpoint]
		sum.Name = c.Failpoint
		sum.Hits++
		if key := [2]string{c.Failpoint, c.InFlight}; !seen[key] {
			seen[key] = true
			sum.DistinctInFlight++
		}
		sums[c.Failpoint] = sum
	}
	return sums
}

// summarizeFaults counts faults by target and kind.
func summarizeFaults(faults []history.Fault) map[string]FaultSummary {
	sums, longest := map[string]FaultSummary{}, map[string]time.Duration{}
	for _, fault := range faults {
		key := fault.Target + " " + fault.Kind
		longest[key] = max(longest[key], fault.Ended.Sub(fault.Began))
		sum := sums[key]
		sum.Kind, sum.Target, sum.Longest = fault.Kind, fault.Target, longest[key].Round(time.Millisecond).String()
		sum.Times++
		sum.Requests += fault.Requests
		sum.Backlog += fault.Backlog
		if fault.MetWork() {
			sum.WithWorkInFlight++
		}
		sums[key] = sum
	}
	return sums
}
