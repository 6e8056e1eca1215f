package checker

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// matches tells whether a target is one of those that an expectation names. What
// is done to a service as a whole has its name without a number.
func matches(expected, target string) bool {
	if prefix, several := strings.CutSuffix(expected, "*"); several {
		return strings.HasPrefix(target, prefix) || target == strings.TrimSuffix(prefix, "-")
	}
	return expected == target
}

// expects tells whether the scenario wanted such a fault, as long as that. No kind
// means any, and the beginning of a target's name will do.
func (f *facts) expects(kind, target string, lasting time.Duration) bool {
	return slices.ContainsFunc(f.Expected.Faults, func(x history.Expectation) bool {
		return (kind == "" || kind == x.Kind) && strings.HasPrefix(x.Target, target) && x.Lasting >= lasting
	})
}

// faults asks that what was to happen happened, and met work.
func faults(f *facts) Row {
	var bad findings
	if len(f.Expected.Faults)+len(f.Expected.Points)+len(f.Expected.Poison) == 0 {
		bad.add("the scenario expects nothing to happen: the run proves nothing")
	}
	counted, requests, behind := 0, 0, 0
	for _, fault := range f.Faults {
		if fault.Counts() {
			counted++
			requests += fault.Requests
			behind += fault.Behind
		}
	}
	for _, x := range f.Expected.Faults {
		if !slices.ContainsFunc(f.Faults, func(fault history.Fault) bool {
			return fault.Counts() && fault.Kind == x.Kind && matches(x.Target, fault.Target) && fault.Ended.Sub(fault.Began) >= x.Lasting
		}) {
			bad.add("no %s of %s for %s or more, with work in flight", x.Kind, x.Target, x.Lasting)
		}
	}
	return bad.row("faults", "every kind of fault happens, with work in flight",
		"%d of %d with work in flight, %d kinds expected; %s requests, %s events behind",
		counted, len(f.Faults), len(f.Expected.Faults), count(requests), count(behind))
}

// crashPoints asks that processes died at every named place, with different things
// in hand.
func crashPoints(f *facts) Row {
	var bad findings
	least, reached := 0, points(f.Crashes)
	for i, name := range f.Expected.Points {
		events := 0
		if at := slices.IndexFunc(reached, func(p Point) bool { return p.Name == name }); at >= 0 {
			events = reached[at].Events
		}
		if events < f.Expected.Times {
			bad.add("%s was reached with %d things in hand, not %d", name, events, f.Expected.Times)
		}
		if i == 0 || events < least {
			least = events
		}
	}
	return bad.row("crash-points", "processes die at every named place, each time with something else in hand",
		"%d crashes at %d places, each with %d different things in hand or more, of %d wanted",
		len(f.Crashes), len(reached), least, f.Expected.Times)
}

// points counts crashes by place.
func points(crashes []history.Crash) []Point {
	times, inHand := map[string]int{}, map[string]map[string]bool{}
	for _, c := range crashes {
		times[c.Point]++
		if inHand[c.Point] == nil {
			inHand[c.Point] = map[string]bool{}
		}
		inHand[c.Point][c.InHand] = true
	}
	points := []Point{}
	for _, name := range inOrder(times) {
		points = append(points, Point{Name: name, Times: times[name], Events: len(inHand[name])})
	}
	return points
}

// tallies sums faults up, by target and kind.
func tallies(faults []history.Fault) []Tally {
	type which struct{ kind, target string }
	sums, longest := map[which]*Tally{}, map[which]time.Duration{}
	for _, fault := range faults {
		w := which{fault.Kind, fault.Target}
		if sums[w] == nil {
			sums[w] = &Tally{Kind: fault.Kind, Target: fault.Target}
		}
		t := sums[w]
		t.Times++
		t.Requests += fault.Requests
		t.Behind += fault.Behind
		if fault.Counts() {
			t.Counted++
		}
		longest[w] = max(longest[w], fault.Ended.Sub(fault.Began))
	}
	list := []Tally{}
	for w, t := range sums {
		t.Longest = longest[w].Round(time.Millisecond).String()
		list = append(list, *t)
	}
	slices.SortFunc(list, func(a, b Tally) int { return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Kind, b.Kind)) })
	return list
}
