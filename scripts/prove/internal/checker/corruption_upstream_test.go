package checker_test

import (
	"slices"
	"strconv"
	"testing"

	"example.com/todo/scripts/prove/internal/history"
)

// upstream is what goes wrong before a consumer's part begins: it is told once, by the
// row that it belongs to, and no consumer is blamed for it.
var upstream = map[string]corruption{
	"a completion never came": {"events", func(t *testing.T, run *history.Run) {
		e := onceAnnounced(t, run)
		run.Topic = slices.DeleteFunc(run.Topic, func(r history.Record) bool { return r.Header("event-id") == e.ID })
		unnotified(run, e)
		uncounted(run, e)
	}},
	"a completion was dead-lettered by both": {"dead-letters", func(t *testing.T, run *history.Run) {
		e := onceAnnounced(t, run)
		buryCompletion(t, run, e, "notification-service")
		buryCompletion(t, run, e, "stats-service")
		unnotified(run, e)
		uncounted(run, e)
	}},
	"a completion had its effect, and was dead-lettered": {"dead-letters", func(t *testing.T, run *history.Run) {
		buryCompletion(t, run, onceAnnounced(t, run), "stats-service")
	}},
	"a completion was dead-lettered by the other group": {"notifications dead-letters", func(t *testing.T, run *history.Run) {
		e := onceAnnounced(t, run)
		buryCompletion(t, run, e, "stats-service")
		unnotified(run, e)
	}},
	"a completion was dead-lettered, and its copy was not": {"stats dead-letters", func(t *testing.T, run *history.Run) {
		e := find(t, run.Events, func(e *history.Event) bool { return e.Type == "task.completed" && announcements(run, e) > 1 })
		buryCompletion(t, run, e, "stats-service")
		run.Stats[0].Total--
		run.Stats[0].ByDay[e.At.Format("2006-01-02")]--
	}},
}

func announcements(run *history.Run, e *history.Event) (n int) {
	for _, r := range run.Topic {
		if r.Header("event-id") == e.ID {
			n++
		}
	}
	return n
}

// onceAnnounced returns a completion with one record.
func onceAnnounced(t *testing.T, run *history.Run) *history.Event {
	t.Helper()
	return find(t, run.Events, func(e *history.Event) bool { return e.Type == "task.completed" && announcements(run, e) == 1 })
}

func buryCompletion(t *testing.T, run *history.Run, e *history.Event, group string) {
	t.Helper()
	original := sentAs(t, run, e.ID)
	l := history.Record{Offset: 5000 + int64(len(run.DLQ)), Key: original.Key, Value: original.Value, Headers: slices.Clone(run.DLQ[0].Headers)}
	setHeader(&l, "original-partition", strconv.Itoa(int(original.Partition)))
	setHeader(&l, "original-offset", strconv.FormatInt(original.Offset, 10))
	setHeader(&l, "consumer-group", group)
	run.DLQ, run.Replay.DLQ = append(run.DLQ, l), append(run.Replay.DLQ, l)
}

func unnotified(run *history.Run, e *history.Event) {
	run.Deliveries = slices.DeleteFunc(run.Deliveries, func(d history.Delivery) bool { return d.Key == e.ID })
}

func uncounted(run *history.Run, e *history.Event) {
	for _, reports := range [][]history.StatsReport{run.Stats, run.Replay.Stats} {
		for i := range reports {
			reports[i].Total--
			reports[i].ByDay[e.At.Format("2006-01-02")]--
		}
	}
}
