package checker_test

import (
	"slices"
	"strconv"
	"testing"

	"example.com/todo/scripts/prove/internal/history"
)

// upstreamCorruptions go wrong before a consumer is involved. The check they belong to reports
// them, and no check of a consumer.
var upstreamCorruptions = map[string]corruption{
	"a completion has no record": {"events", func(t *testing.T, run *history.Run) {
		e := completionWithOneRecord(t, run)
		run.Topic = slices.DeleteFunc(run.Topic, func(r history.Record) bool { return r.Header("event-id") == e.ID })
		removeDeliveries(run, e)
		uncount(run, e)
	}},
	"both groups dead-lettered a completion": {"dead-letters", func(t *testing.T, run *history.Run) {
		e := completionWithOneRecord(t, run)
		deadLetterCompletion(t, run, e, "notification-service")
		deadLetterCompletion(t, run, e, "stats-service")
		removeDeliveries(run, e)
		uncount(run, e)
	}},
	"a completion had its effect and was dead-lettered": {"dead-letters", func(t *testing.T, run *history.Run) {
		deadLetterCompletion(t, run, completionWithOneRecord(t, run), "stats-service")
	}},
	"the other group dead-lettered a completion": {"notifications dead-letters", func(t *testing.T, run *history.Run) {
		e := completionWithOneRecord(t, run)
		deadLetterCompletion(t, run, e, "stats-service")
		removeDeliveries(run, e)
	}},
	"a completion was dead-lettered, its copy was not": {"stats dead-letters", func(t *testing.T, run *history.Run) {
		e := findFirst(t, run.Events, func(e *history.Event) bool { return e.Type == "task.completed" && countRecords(run, e.ID) > 1 })
		deadLetterCompletion(t, run, e, "stats-service")
		run.Stats[0].Total--
		run.Stats[0].ByDay[e.At.Format("2006-01-02")]--
	}},
}

func countRecords(run *history.Run, event string) (n int) {
	for _, r := range run.Topic {
		if r.Header("event-id") == event {
			n++
		}
	}
	return n
}

// completionWithOneRecord returns a completion whose event has one record.
func completionWithOneRecord(t *testing.T, run *history.Run) *history.Event {
	t.Helper()
	return findFirst(t, run.Events, func(e *history.Event) bool { return e.Type == "task.completed" && countRecords(run, e.ID) == 1 })
}

func deadLetterCompletion(t *testing.T, run *history.Run, e *history.Event, group string) {
	t.Helper()
	original := recordOf(t, run, e.ID)
	l := history.Record{Position: history.Position{Offset: 5000 + int64(len(run.DLQ))}, Key: original.Key, Value: original.Value, Headers: slices.Clone(run.DLQ[0].Headers)}
	setHeader(&l, "original-partition", strconv.Itoa(int(original.Partition)))
	setHeader(&l, "original-offset", strconv.FormatInt(original.Offset, 10))
	setHeader(&l, "consumer-group", group)
	run.DLQ, run.Replay.DLQ = append(run.DLQ, l), append(run.Replay.DLQ, l)
}

func removeDeliveries(run *history.Run, e *history.Event) {
	run.Deliveries = slices.DeleteFunc(run.Deliveries, func(d history.Delivery) bool { return d.Key == e.ID })
}

func uncount(run *history.Run, e *history.Event) {
	for _, reports := range [][]history.StatsReport{run.Stats, run.Replay.Stats} {
		for i := range reports {
			reports[i].Total--
			reports[i].ByDay[e.At.Format("2006-01-02")]--
		}
	}
	for _, reports := range [][]history.UserReport{run.UserReports, run.Replay.UserReports} {
		for i := range reports {
			if reports[i].User == e.UserID {
				reports[i].Total--
				reports[i].ByDay[e.At.Format("2006-01-02")]--
			}
		}
	}
}
