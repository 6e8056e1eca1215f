package checker

import "example.com/todo/scripts/prove/internal/history"

// isAccepted reports whether the webhook server confirmed the delivery.
func isAccepted(d history.Delivery) bool { return d.Status >= 200 && d.Status < 300 }

// checkNotifications compares the completions that the topic announces to notification-service
// with the accepted deliveries.
func checkNotifications(ix *index, found *violations) string {
	accepted := map[string]bool{}
	failed, unsigned, unexpected := 0, 0, 0
	for _, d := range ix.Deliveries {
		e := ix.completions[d.Key]
		switch {
		case e == nil:
			unexpected++
			found.add("%s: task %d was notified with the key %q, which belongs to no completion",
				formatTime(d.At), d.TaskID, d.Key)
			continue
		case d.TaskID != e.Task.ID || d.Title != e.Title:
			found.add("%s: %s was notified as %q of task %d, and is %q of task %d",
				formatTime(d.At), d.Key, d.Title, d.TaskID, e.Title, e.Task.ID)
		}
		if !d.SignatureValid {
			unsigned++
			found.add("%s: %s was not signed", formatTime(d.At), d.Key)
		}
		if isAccepted(d) {
			accepted[d.Key] = true
		} else {
			failed++
		}
	}
	missing := 0
	due, _ := ix.publishedCompletions("notification-service")
	for _, e := range ix.Events {
		if due[e.ID] && !accepted[e.ID] {
			missing++
			found.add("%s, task %d completed at %s, was not notified", e.ID, e.Task.ID, formatTime(e.At))
		}
	}
	return sprintf("%d of %d missing, %d for no completion, %d unsigned; %d attempts not accepted",
		missing, len(due), unexpected, unsigned, failed)
}

// checkDeliveryOrder reports completions of one task that arrived in another order than the
// topic's, by first attempt and by first accepted one. Check "order" judges the topic's own
// order.
func checkDeliveryOrder(ix *index, found *violations) string {
	ix.findDeliveryInversions(found, "arrived", func(history.Delivery) bool { return true })
	ix.findDeliveryInversions(found, "was accepted", isAccepted)
	inverted, several := found.total, 0
	completions := map[int64]int{} // by task
	for _, e := range ix.completions {
		completions[e.Task.ID]++
		if completions[e.Task.ID] == 2 {
			several++
		}
	}
	if several == 0 {
		found.add("no task was completed twice: there is no order to judge")
	}
	return sprintf("%d inversions, %d tasks completed more than once", inverted, several)
}

// findDeliveryInversions reports completions whose first selected delivery precedes that of an
// earlier completion of the task.
func (ix *index) findDeliveryInversions(found *violations, verb string, selected func(history.Delivery) bool) {
	seen, latest := map[string]bool{}, map[int64]*record{}
	for _, d := range ix.Deliveries {
		e, r := ix.completions[d.Key], ix.firstRecords[d.Key]
		if e == nil || r == nil || seen[d.Key] || !selected(d) {
			continue
		}
		seen[d.Key] = true
		if last := latest[e.Task.ID]; last != nil && last.Partition == r.Partition && last.Offset >= r.Offset {
			found.add("%s: version %d of task %d %s after version %d",
				formatTime(d.At), e.Version, e.Task.ID, verb, last.event.Version)
			continue
		}
		latest[e.Task.ID] = r
	}
}
