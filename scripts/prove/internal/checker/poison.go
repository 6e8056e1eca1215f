package checker

import (
	"strings"

	"example.com/todo/scripts/prove/internal/history"
)

// poison finds what was planted by what it is made of.
type poison map[string]*history.Planted

func newPoison(planted []history.Planted) poison {
	p := poison{}
	for i := range planted {
		p[substance(planted[i].Key, planted[i].Value)] = &planted[i]
	}
	return p
}

func (p poison) like(key, value []byte) *history.Planted { return p[substance(key, value)] }

// substance tells null from empty.
func substance(key, value []byte) string {
	if value == nil {
		return string(key) + "\x00null"
	}
	return string(key) + "\x00=" + string(value)
}

// kills tells whether poison of that kind ends the process that works on it.
func kills(kind string) bool { return strings.Contains(kind, "kill") }

// poisonRow asks that every kind was planted, and enough events a second time.
func poisonRow(f *facts) Row {
	var bad findings
	planted := map[string]int{}
	for _, p := range f.Poison {
		planted[p.Kind]++
	}
	for _, kind := range f.Expected.Poison {
		if planted[kind] == 0 {
			bad.add("none of the kind %q was planted", kind)
		}
	}
	there := map[place]string{}
	for i := range f.records {
		if r := &f.records[i]; r.origin == poisoned {
			there[r.place()] = substance(r.Key, r.Value)
		}
	}
	for _, p := range f.Poison {
		at := place{p.Partition, p.Offset}
		if len(p.Groups) == 0 {
			bad.add("%s at %s is nobody's dead letter: it tests nothing", p.Kind, at)
		}
		if there[at] != substance(p.Key, p.Value) {
			bad.add("%s is not in the topic at %s", p.Kind, at)
		}
	}
	share := 0.0
	if len(f.Events) > 0 {
		share = float64(len(f.Copies)) / float64(len(f.Events))
	}
	if share < f.Expected.Copies*0.8 {
		bad.add("%.1f%% of the events were copied, not %.0f%%", 100*share, 100*f.Expected.Copies)
	}
	return bad.row("poison", "every kind of poison is planted, and events are duplicated",
		"%d records of %d kinds; %s copies, %.1f%% of the events", len(f.Poison), len(planted), count(len(f.Copies)), 100*share)
}
