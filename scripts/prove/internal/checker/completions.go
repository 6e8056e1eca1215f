package checker

// publishedCompletions returns the completions by which a group's effects are judged: those of
// which the topic has a record. What it lacks is the row of events to tell, and no
// consumer's fault. In buried are those all of whose records the group dead-lettered
// although they are no poison; the row of dead letters tells them. They may have had
// their effect before, or not.
func (f *index) publishedCompletions(group string) (due, buried map[string]bool) {
	letters := map[position]bool{}
	for i := range f.DLQ {
		r := &f.DLQ[i]
		if l, err := parseLetterID(r); err == nil && l.group == group && r.Header("replay-group") == "" {
			letters[l.original] = true
		}
	}
	due, buried = map[string]bool{}, map[string]bool{}
	for i := range f.records {
		r := &f.records[i]
		switch {
		case r.event == nil || r.event.Type != completed:
		case letters[r.position()]:
			buried[r.event.ID] = true
		default:
			due[r.event.ID] = true
		}
	}
	for id := range due {
		delete(buried, id)
	}
	return due, buried
}
