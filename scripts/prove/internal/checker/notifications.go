package checker

import "example.com/todo/scripts/prove/internal/history"

// isAccepted reports whether the webhook server confirmed the delivery.
func isAccepted(d *history.Delivery) bool { return d.Status >= 200 && d.Status < 300 }

// checkNotifications compares the completions that the topic announces to notification-service
// with the accepted deliveries.
func checkNotifications(ix *index) Check {
	var found violations
	accepted := map[string]bool{}
	failed, unsigned, unexpected := 0, 0, 0
	for i := range ix.Deliveries {
		d := &ix.Deliveries[i]
		e := ix.completions[d.Key]
		switch {
		case e == nil:
			unexpected++
			found.add("%s: task %d was notified with the key %q, which belongs to no completion", formatTime(d.At), d.TaskID, d.Key)
			continue
		case d.TaskID != e.TaskID || d.Title != e.Title:
			found.add("%s: %s was notified as %q of task %d, and is %q of task %d", formatTime(d.At), d.Key, d.Title, d.TaskID, e.Title, e.TaskID)
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
	for i := range ix.Events {
		if e := &ix.Events[i]; due[e.ID] && !accepted[e.ID] {
			missing++
			found.add("%s, task %d completed at %s, was not notified", e.ID, e.TaskID, formatTime(e.At))
		}
	}
	return found.check("notifications", "a receiver that honours the key gets exactly 1 notification per completion",
		"%s of %s missing, %d for no completion, %d unsigned; %s attempts not accepted",
		groupThousands(missing), groupThousands(len(due)), unexpected, unsigned, groupThousands(failed))
}

// checkDeliveryOrder reports completions of one task that arrived in another order than the
// topic's, by first attempt and by first accepted one. Check "order" judges the topic's own
// order.
func checkDeliveryOrder(ix *index) Check {
	var found violations
	inverted := 0
	for _, order := range []struct {
		verb     string
		includes func(*history.Delivery) bool
	}{
		{"arrived", func(*history.Delivery) bool { return true }},
		{"was accepted", isAccepted},
	} {
		seen, latest := map[string]bool{}, map[int64]*record{}
		for i := range ix.Deliveries {
			d := &ix.Deliveries[i]
			e := ix.completions[d.Key]
			r := ix.firstRecords[d.Key]
			if e == nil || r == nil || seen[d.Key] || !order.includes(d) {
				continue
			}
			seen[d.Key] = true
			switch last := latest[e.TaskID]; {
			case last == nil || last.Partition != r.Partition || last.Offset < r.Offset:
				latest[e.TaskID] = r
			default:
				inverted++
				found.add("%s: version %d of task %d %s after version %d", formatTime(d.At), e.Version, e.TaskID, order.verb, last.event.Version)
			}
		}
	}
	several := 0
	for _, events := range ix.eventsByTask {
		completions := 0
		for _, e := range events {
			if e.Type == completed {
				completions++
			}
		}
		if completions > 1 {
			several++
		}
	}
	if several == 0 {
		found.add("no task was completed twice: there is no order to judge")
	}
	return found.check("delivery-order", "deliveries of a task keep the order of its events, by first occurrence",
		"%s inversions, %s tasks completed more than once", groupThousands(inverted), groupThousands(several))
}
