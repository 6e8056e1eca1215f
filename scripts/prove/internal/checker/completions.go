package checker

// publishedCompletions returns the ids of the completions by which a group's effects are judged.
// A completion is due if the topic has a record of it that the group did not dead-letter. It is
// in deadLettered if the group dead-lettered all its records although they are no poison; its
// effect may or may not exist. Check "events" reports missing records, "dead-letters" wrong
// letters.
func (ix *index) publishedCompletions(group string) (due, deadLettered map[string]bool) {
	letters := map[position]bool{}
	for i := range ix.DLQ {
		r := &ix.DLQ[i]
		if l, err := parseLetterID(r); err == nil && l.group == group && r.Header("replay-group") == "" {
			letters[l.original] = true
		}
	}
	due, deadLettered = map[string]bool{}, map[string]bool{}
	for i := range ix.records {
		r := &ix.records[i]
		switch {
		case r.event == nil || r.event.Type != completed:
		case letters[r.position()]:
			deadLettered[r.event.ID] = true
		default:
			due[r.event.ID] = true
		}
	}
	for id := range due {
		delete(deadLettered, id)
	}
	return due, deadLettered
}
