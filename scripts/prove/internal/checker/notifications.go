package checker

import "example.com/todo/scripts/prove/internal/history"

// isAccepted tells whether the provider said that it has the notification.
func isAccepted(d *history.Delivery) bool { return d.Status >= 200 && d.Status < 300 }

// checkNotifications compares the completions, as far as they were announced to
// notification-service, with what the provider took.
func checkNotifications(f *index) Check {
	var bad violations
	taken := map[string]bool{}
	failed, unsigned, foreign := 0, 0, 0
	for i := range f.Deliveries {
		d := &f.Deliveries[i]
		e := f.completions[d.Key]
		switch {
		case e == nil:
			foreign++
			bad.add("%s: task %d was notified with the key %q, which is no completion", formatTime(d.At), d.TaskID, d.Key)
			continue
		case d.TaskID != e.TaskID || d.Title != e.Title:
			bad.add("%s: %s was told as %q of task %d, and is %q of task %d", formatTime(d.At), d.Key, d.Title, d.TaskID, e.Title, e.TaskID)
		}
		if !d.SignatureValid {
			unsigned++
			bad.add("%s: %s was not signed", formatTime(d.At), d.Key)
		}
		if isAccepted(d) {
			taken[d.Key] = true
		} else {
			failed++
		}
	}
	missing := 0
	due, _ := f.publishedCompletions("notification-service")
	for i := range f.Events {
		if e := &f.Events[i]; due[e.ID] && !taken[e.ID] {
			missing++
			bad.add("%s, task %d completed at %s, was not notified", e.ID, e.TaskID, formatTime(e.At))
		}
	}
	return bad.check("notifications", "notifications per completion at a provider that honours the key: exactly 1",
		"%s of %s missing, %d for no completion, %d unsigned; %s tries that the provider did not take",
		groupThousands(missing), groupThousands(len(due)), foreign, unsigned, groupThousands(failed))
}

// checkDeliveryOrder looks for completions of one task that came to the provider in
// another order than they are in the topic, by first try and by first taken. Whether
// the topic's order is right is what the row of order tells.
func checkDeliveryOrder(f *index) Check {
	var bad violations
	inverted := 0
	for _, tell := range []struct {
		what   string
		counts func(*history.Delivery) bool
	}{
		{"arrived", func(*history.Delivery) bool { return true }},
		{"was taken", isAccepted},
	} {
		seen, latest := map[string]bool{}, map[int64]*record{}
		for i := range f.Deliveries {
			d := &f.Deliveries[i]
			e := f.completions[d.Key]
			r := f.firstRecords[d.Key]
			if e == nil || r == nil || seen[d.Key] || !tell.counts(d) {
				continue
			}
			seen[d.Key] = true
			switch last := latest[e.TaskID]; {
			case last == nil || last.Partition != r.Partition || last.Offset < r.Offset:
				latest[e.TaskID] = r
			default:
				inverted++
				bad.add("%s: version %d of task %d %s after version %d", formatTime(d.At), e.Version, e.TaskID, tell.what, last.event.Version)
			}
		}
	}
	several := 0
	for _, history := range f.eventsByTask {
		completions := 0
		for _, e := range history {
			if e.Type == completed {
				completions++
			}
		}
		if completions > 1 {
			several++
		}
	}
	if several == 0 {
		bad.add("no task was completed twice: there is no order to judge")
	}
	return bad.check("provider-order", "per-task order inversions at the provider, by first occurrence: 0",
		"%s inversions, %s tasks completed more than once", groupThousands(inverted), groupThousands(several))
}
