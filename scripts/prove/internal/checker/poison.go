package checker

import "example.com/todo/scripts/prove/internal/history"

// checkPoison checks that every kind of poison was written, and copies of enough events.
func checkPoison(ix *index, found *violations) string {
	contents := map[history.Position]string{}
	for _, r := range ix.records {
		contents[r.Position] = contentKey(r.Key, r.Value)
	}
	kinds := map[string]bool{}
	for _, p := range ix.Poison {
		kinds[p.Kind] = true
		if contents[p.Position] != contentKey(p.Key, p.Value) {
			found.add("%s is not in the topic at %s", p.Kind, p.Position)
		}
	}
	for _, kind := range ix.Expected.Poison {
		if !kinds[kind] {
			found.add("no poison of the kind %q was written", kind)
		}
	}
	copied := float64(len(ix.Copies)) / float64(max(1, len(ix.Events)))
	if copied < ix.Expected.CopyFraction*0.8 {
		found.add("%.1f%% of the events were copied, not %.0f%%", 100*copied, 100*ix.Expected.CopyFraction)
	}
	return sprintf("%d records of %d kinds; %d copies, %.1f%% of the events",
		len(ix.Poison), len(kinds), len(ix.Copies), 100*copied)
}
