package checker

import (
	"strings"

	"example.com/todo/scripts/prove/internal/history"
)

// poisonIndex finds what was planted by what it is made of.
type poisonIndex map[string]*history.InjectedRecord

func newPoisonIndex(planted []history.InjectedRecord) poisonIndex {
	p := poisonIndex{}
	for i := range planted {
		p[contentKey(planted[i].Key, planted[i].Value)] = &planted[i]
	}
	return p
}

func (p poisonIndex) find(key, value []byte) *history.InjectedRecord {
	return p[contentKey(key, value)]
}

// contentKey tells null from empty.
func contentKey(key, value []byte) string {
	if value == nil {
		return string(key) + "\x00null"
	}
	return string(key) + "\x00=" + string(value)
}

// killsProcess tells whether poison of that kind ends the process that works on it.
func killsProcess(kind string) bool { return strings.Contains(kind, "kill") }

// checkPoison asks that every kind was planted, and enough events a second time.
func checkPoison(f *index) Check {
	var bad violations
	planted := map[string]int{}
	for _, p := range f.Poison {
		planted[p.Kind]++
	}
	for _, kind := range f.Expected.Poison {
		if planted[kind] == 0 {
			bad.add("none of the kind %q was planted", kind)
		}
	}
	there := map[position]string{}
	for i := range f.records {
		if r := &f.records[i]; r.origin == originPoison {
			there[r.position()] = contentKey(r.Key, r.Value)
		}
	}
	for _, p := range f.Poison {
		at := position{p.Partition, p.Offset}
		if len(p.Groups) == 0 {
			bad.add("%s at %s is nobody's dead letter: it tests nothing", p.Kind, at)
		}
		if there[at] != contentKey(p.Key, p.Value) {
			bad.add("%s is not in the topic at %s", p.Kind, at)
		}
	}
	share := 0.0
	if len(f.Events) > 0 {
		share = float64(len(f.Copies)) / float64(len(f.Events))
	}
	if share < f.Expected.CopyFraction*0.8 {
		bad.add("%.1f%% of the events were copied, not %.0f%%", 100*share, 100*f.Expected.CopyFraction)
	}
	return bad.check("poison", "every kind of poison is planted, and events are duplicated",
		"%d records of %d kinds; %s copies, %.1f%% of the events", len(f.Poison), len(planted), groupThousands(len(f.Copies)), 100*share)
}
