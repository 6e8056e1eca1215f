package checker_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// findDelivery returns an accepted delivery after the given time. Completions precede the
// deletions of their tasks.
func findDelivery(t *testing.T, run *history.Run, after time.Time) *history.Delivery {
	t.Helper()
	return findFirst(t, run.Deliveries, func(d *history.Delivery) bool { return d.Status == 200 && d.At.After(after) })
}

// deliverAgain adds a duplicate of an accepted delivery.
func deliverAgain(run *history.Run, d history.Delivery, at time.Time) {
	d.At = at
	run.Deliveries = append(run.Deliveries, d)
}

var effectCorruptions = map[string]corruption{
	"one completion was not counted": {"stats", func(_ *testing.T, run *history.Run) { run.Stats[1].Total-- }},
	"one was counted on another day": {"stats", func(_ *testing.T, run *history.Run) {
		run.Stats[0].ByDay["2026-01-15"]--
		run.Stats[0].ByDay["2026-01-16"]++
	}},
	"one was counted on a day without any": {"stats", func(_ *testing.T, run *history.Run) { run.Stats[0].ByDay["2026-01-14"] = 1 }},
	"a recount goes on":                    {"stats", func(_ *testing.T, run *history.Run) { run.Stats[0].Complete = false }},
	"the end of the topic is not counted":  {"stats", func(_ *testing.T, run *history.Run) { run.Stats[0].Lag = 1 }},
	"no statistics were collected":         {"stats", func(_ *testing.T, run *history.Run) { run.Stats = nil }},

	"a completion was not notified": {"notifications", func(t *testing.T, run *history.Run) {
		key := findDelivery(t, run, atSecond(75)).Key
		run.Deliveries = slices.DeleteFunc(run.Deliveries, func(d history.Delivery) bool { return d.Key == key })
	}},
	"a completion was never accepted": {"notifications", func(t *testing.T, run *history.Run) { findDelivery(t, run, atSecond(75)).Status = 0 }},
	"a notification belongs to no completion": {"notifications", func(_ *testing.T, run *history.Run) {
		deliverAgain(run, history.Delivery{Key: "no completion", SignatureValid: true, Status: 200}, run.EndedAt)
	}},
	"a reopening was notified": {"notifications", func(t *testing.T, run *history.Run) {
		e := findEvent(t, run, "task.reopened")
		deliverAgain(run, history.Delivery{Key: e.ID, TaskID: e.Task.ID, Title: e.Title, SignatureValid: true, Status: 200}, run.EndedAt)
	}},
	"a notification was not signed":    {"notifications", func(_ *testing.T, run *history.Run) { run.Deliveries[5].SignatureValid = false }},
	"a notification has another title": {"notifications", func(_ *testing.T, run *history.Run) { run.Deliveries[5].Title = "another" }},

	"a duplicate without any crash": {"duplicate-deliveries", func(t *testing.T, run *history.Run) {
		d := *findDelivery(t, run, atSecond(75))
		deliverAgain(run, d, d.At.Add(time.Second))
	}},
	"two duplicates in one partition after one crash": {"duplicate-deliveries", func(t *testing.T, run *history.Run) {
		twice := findFirst(t, run.Deliveries, func(d *history.Delivery) bool { return d.At.Equal(atSecond(71)) })
		other := findFirst(t, run.Deliveries, func(d *history.Delivery) bool {
			return d.Status == 200 && d.TaskID%partitions == twice.TaskID%partitions && d.TaskID != twice.TaskID &&
				d.At.After(atSecond(60)) && d.At.Before(atSecond(70))
		})
		deliverAgain(run, *other, atSecond(71))
	}},
	"a duplicate after a flush of Redis, of an event without a copy": {"duplicate-deliveries", func(t *testing.T, run *history.Run) {
		// The flush itself excuses one duplicate in each partition.
		for _, d := range deliveriesBeforeFlush(t, run, 2, false) {
			deliverAgain(run, d, atSecond(156))
		}
	}},
	"the second completion was notified before the first": {"delivery-order", func(t *testing.T, run *history.Run) {
		a := findEvent(t, run, "task.completed")
		b := findFirst(t, run.Events, func(e *history.Event) bool {
			return e.Task.ID == a.Task.ID && e.Type == a.Type && e.Version > a.Version
		})
		i := slices.IndexFunc(run.Deliveries, func(d history.Delivery) bool { return d.Key == a.ID })
		j := slices.IndexFunc(run.Deliveries, func(d history.Delivery) bool { return d.Key == b.ID })
		run.Deliveries[i], run.Deliveries[j] = run.Deliveries[j], run.Deliveries[i]
		run.Deliveries = slices.DeleteFunc(run.Deliveries, func(d history.Delivery) bool { return d.Status != 200 })
	}},
}

// deliveriesBeforeFlush returns n deliveries of one partition, from well before the flush of
// Redis, whose events have a copy or not.
func deliveriesBeforeFlush(t *testing.T, run *history.Run, n int, copied bool) []history.Delivery {
	t.Helper()
	var chosen []history.Delivery
	for _, d := range run.Deliveries {
		if len(chosen) < n && d.Status == 200 && d.TaskID%partitions == 0 && copied == (countRecords(run, d.Key) > 1) &&
			d.At.After(atSecond(141)) && d.At.Before(atSecond(149)) {
			chosen = append(chosen, d)
		}
	}
	if len(chosen) < n {
		t.Fatalf("the correct history has only %d such deliveries", len(chosen))
	}
	return chosen
}

var deadLetterCorruptions = map[string]corruption{
	"a dead letter is missing": {"dead-letters", func(_ *testing.T, run *history.Run) {
		last := run.DLQ[len(run.DLQ)-1]
		run.DLQ = run.DLQ[:len(run.DLQ)-1]
		run.Replay.DLQ = slices.DeleteFunc(run.Replay.DLQ, func(r history.Record) bool { return r.Offset == last.Offset })
	}},
	"a valid event is dead-lettered": {"dead-letters", func(_ *testing.T, run *history.Run) {
		setHeader(&run.DLQ[0], "original-offset", "0")
	}},
	"a dead letter has another value": {"dead-letters", func(_ *testing.T, run *history.Run) {
		run.DLQ[0].Value = append([]byte("x"), run.DLQ[0].Value...)
	}},
	"a null value became an empty value": {"dead-letters", func(t *testing.T, run *history.Run) {
		findFirst(t, run.DLQ, func(r *history.Record) bool { return r.Value == nil }).Value = []byte{}
	}},
	"a dead letter has another key":                {"dead-letters", func(_ *testing.T, run *history.Run) { run.DLQ[0].Key = []byte("task-0") }},
	"a dead letter without an error":               {"dead-letters", func(_ *testing.T, run *history.Run) { setHeader(&run.DLQ[0], "error", "") }},
	"a dead letter lost a header":                  {"dead-letters", func(_ *testing.T, run *history.Run) { run.DLQ[0].Headers = run.DLQ[0].Headers[1:] }},
	"a dead letter without its original partition": {"dead-letters", func(_ *testing.T, run *history.Run) { setHeader(&run.DLQ[0], "original-partition", "") }},
}

var batchLetterCorruptions = map[string]corruption{
	"a batch has no letter": {"dead-letters", func(t *testing.T, run *history.Run) {
		gone := findBatchLetter(t, run).Offset
		drop := func(r history.Record) bool { return r.Offset == gone }
		run.DLQ, run.Replay.DLQ = slices.DeleteFunc(run.DLQ, drop), slices.DeleteFunc(run.Replay.DLQ, drop)
	}},
	"a batch's letter has contents":               {"dead-letters", func(t *testing.T, run *history.Run) { findBatchLetter(t, run).Value = []byte("much") }},
	"a batch's letter ends too early":             {"dead-letters", func(t *testing.T, run *history.Run) { addToHeader(findBatchLetter(t, run), "original-last-offset", -1) }},
	"a batch's letter ends too late":              {"dead-letters", func(t *testing.T, run *history.Run) { addToHeader(findBatchLetter(t, run), "original-last-offset", 1) }},
	"a batch's letter has no end":                 {"dead-letters", func(t *testing.T, run *history.Run) { setHeader(findBatchLetter(t, run), "original-last-offset", "") }},
	"a batch's letter has no size":                {"dead-letters", func(t *testing.T, run *history.Run) { setHeader(findBatchLetter(t, run), "original-size", "0") }},
	"a batch's letter has no error":               {"dead-letters", func(t *testing.T, run *history.Run) { setHeader(findBatchLetter(t, run), "error", "") }},
	"a record of a batch has a letter of its own": {"dead-letters", func(t *testing.T, run *history.Run) { addToHeader(findBatchLetter(t, run), "original-offset", 1) }},
}

// findBatchLetter returns the dead letter of a batch.
func findBatchLetter(t *testing.T, run *history.Run) *history.Record {
	t.Helper()
	return findFirst(t, run.DLQ, func(r *history.Record) bool { return r.Header("original-last-offset") != "" })
}

func addToHeader(r *history.Record, header string, by int64) {
	number, _ := strconv.ParseInt(r.Header(header), 10, 64)
	setHeader(r, header, strconv.FormatInt(number+by, 10))
}

// setHeader changes a header without affecting other records.
func setHeader(r *history.Record, key, value string) {
	r.Headers = slices.Clone(r.Headers)
	for i := range r.Headers {
		if r.Headers[i].Key == key {
			r.Headers[i].Value = value
		}
	}
}
