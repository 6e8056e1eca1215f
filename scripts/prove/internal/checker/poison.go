package checker

import (
	"strings"

	"example.com/todo/scripts/prove/internal/history"
)

// poisonIndex finds an injected record by its content.
type poisonIndex map[string]*history.InjectedRecord

func newPoisonIndex(injected []history.InjectedRecord) poisonIndex {
	p := poisonIndex{}
	for i := range injected {
		p[contentKey(injected[i].Key, injected[i].Value)] = &injected[i]
	}
	return p
}

func (p poisonIndex) find(key, value []byte) *history.InjectedRecord {
	return p[contentKey(key, value)]
}

// contentKey identifies a record's content; null and empty values differ.
func contentKey(key, value []byte) string {
	if value == nil {
		return string(key) + "\x00null"
	}
	return string(key) + "\x00=" + string(value)
}

// killsProcess reports whether poison of that kind kills the process that handles it.
func killsProcess(kind string) bool { return strings.Contains(kind, "kill") }

// checkPoison checks that every kind of poison was written, and copies of enough events.
func checkPoison(ix *index) Check {
	var found violations
	injected := map[string]int{}
	for _, p := range ix.Poison {
		injected[p.Kind]++
	}
	for _, kind := range ix.Expected.Poison {
		if injected[kind] == 0 {
			found.add("no poison of the kind %q was written", kind)
		}
	}
	contents := map[position]string{}
	for i := range ix.records {
		if r := &ix.records[i]; r.origin == originPoison {
			contents[r.position()] = contentKey(r.Key, r.Value)
		}
	}
	for _, p := range ix.Poison {
		at := position{p.Partition, p.Offset}
		if len(p.Groups) == 0 {
			found.add("%s at %s is expected in no group's dead letters: it tests nothing", p.Kind, at)
		}
		if contents[at] != contentKey(p.Key, p.Value) {
			found.add("%s is not in the topic at %s", p.Kind, at)
		}
	}
	fraction := 0.0
	if len(ix.Events) > 0 {
		fraction = float64(len(ix.Copies)) / float64(len(ix.Events))
	}
	if fraction < ix.Expected.CopyFraction*0.8 {
		found.add("%.1f%% of the events were copied, not %.0f%%", 100*fraction, 100*ix.Expected.CopyFraction)
	}
	return found.check("poison", "poison of every kind and copies of events are written",
		"%d records of %d kinds; %s copies, %.1f%% of the events", len(ix.Poison), len(injected), groupThousands(len(ix.Copies)), 100*fraction)
}
