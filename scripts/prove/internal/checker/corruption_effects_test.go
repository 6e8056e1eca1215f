package checker_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// taken returns a delivery that the provider took, of a task whose completions come
// before the run's deletions.
func taken(t *testing.T, run *history.Run, after time.Time) *history.Delivery {
	t.Helper()
	return find(t, run.Deliveries, func(d *history.Delivery) bool { return d.Status == 200 && d.At.After(after) })
}

// checkReplay lets the provider take what it took before.
func checkReplay(run *history.Run, d history.Delivery, at time.Time) {
	d.At = at
	run.Deliveries = append(run.Deliveries, d)
}

var inTheEffects = map[string]corruption{
	"one completion was not counted": {"stats", func(_ *testing.T, run *history.Run) { run.Stats[1].Total-- }},
	"one was counted on another day": {"stats", func(_ *testing.T, run *history.Run) {
		run.Stats[0].ByDay["2026-01-15"]--
		run.Stats[0].ByDay["2026-01-16"]++
	}},
	"one was counted on a day without any": {"stats", func(_ *testing.T, run *history.Run) { run.Stats[0].ByDay["2026-01-14"] = 1 }},
	"a recount goes on":                    {"stats", func(_ *testing.T, run *history.Run) { run.Stats[0].Complete = false }},
	"the log's end is not counted":         {"stats", func(_ *testing.T, run *history.Run) { run.Stats[0].Lag = 1 }},
	"nobody asked for the statistics":      {"stats", func(_ *testing.T, run *history.Run) { run.Stats = nil }},

	"a completion was not notified": {"notifications", func(t *testing.T, run *history.Run) {
		key := taken(t, run, sec(75)).Key
		run.Deliveries = slices.DeleteFunc(run.Deliveries, func(d history.Delivery) bool { return d.Key == key })
	}},
	"the provider never took a completion": {"notifications", func(t *testing.T, run *history.Run) { taken(t, run, sec(75)).Status = 0 }},
	"what is no completion was notified": {"notifications", func(_ *testing.T, run *history.Run) {
		checkReplay(run, history.Delivery{Key: "no completion", SignatureValid: true, Status: 200}, run.EndedAt)
	}},
	"a reopening was notified": {"notifications", func(t *testing.T, run *history.Run) {
		e := event(t, run, "task.reopened")
		checkReplay(run, history.Delivery{Key: e.ID, TaskID: e.TaskID, Title: e.Title, SignatureValid: true, Status: 200}, run.EndedAt)
	}},
	"a notification was not signed":   {"notifications", func(_ *testing.T, run *history.Run) { run.Deliveries[5].SignatureValid = false }},
	"a notification names other work": {"notifications", func(_ *testing.T, run *history.Run) { run.Deliveries[5].Title = "another" }},

	"one came twice and nobody had died": {"duplicate-deliveries", func(t *testing.T, run *history.Run) {
		d := *taken(t, run, sec(75))
		checkReplay(run, d, d.At.Add(time.Second))
	}},
	"two of a partition came twice for one death": {"duplicate-deliveries", func(t *testing.T, run *history.Run) {
		twice := find(t, run.Deliveries, func(d *history.Delivery) bool { return d.At.Equal(sec(71)) })
		other := find(t, run.Deliveries, func(d *history.Delivery) bool {
			return d.Status == 200 && d.TaskID%partitions == twice.TaskID%partitions && d.TaskID != twice.TaskID &&
				d.At.After(sec(60)) && d.At.Before(sec(70))
		})
		checkReplay(run, *other, sec(71))
	}},
	"one came twice after the state was flushed, and nothing wrote it to the topic again": {"duplicate-deliveries", func(t *testing.T, run *history.Run) {
		// The flush itself excuses one in each partition.
		for _, d := range afterFlush(t, run, 2, false) {
			checkReplay(run, d, sec(156))
		}
	}},
	"the second completion was notified before the first": {"delivery-order", func(t *testing.T, run *history.Run) {
		a := event(t, run, "task.completed")
		b := find(t, run.Events, func(e *history.Event) bool { return e.TaskID == a.TaskID && e.Type == a.Type && e.Version > a.Version })
		i := slices.IndexFunc(run.Deliveries, func(d history.Delivery) bool { return d.Key == a.ID })
		j := slices.IndexFunc(run.Deliveries, func(d history.Delivery) bool { return d.Key == b.ID })
		run.Deliveries[i], run.Deliveries[j] = run.Deliveries[j], run.Deliveries[i]
		run.Deliveries = slices.DeleteFunc(run.Deliveries, func(d history.Delivery) bool { return d.Status != 200 })
	}},
}

// afterFlush returns deliveries of one partition, from well before the state was
// flushed, of events that have a copy or not.
func afterFlush(t *testing.T, run *history.Run, n int, copied bool) []history.Delivery {
	t.Helper()
	var chosen []history.Delivery
	for _, d := range run.Deliveries {
		has := slices.ContainsFunc(run.Copies, func(p history.InjectedRecord) bool { return p.EventID == d.Key }) ||
			len(slices.DeleteFunc(slices.Clone(run.Topic), func(r history.Record) bool { return r.Header("event-id") != d.Key })) > 1
		if len(chosen) < n && d.Status == 200 && d.TaskID%partitions == 0 && has == copied &&
			d.At.After(sec(141)) && d.At.Before(sec(149)) {
			chosen = append(chosen, d)
		}
	}
	if len(chosen) < n {
		t.Fatalf("the good run has %d such deliveries only", len(chosen))
	}
	return chosen
}

var inTheDeadLetters = map[string]corruption{
	"a dead letter is missing": {"dead-letters", func(_ *testing.T, run *history.Run) {
		last := run.DLQ[len(run.DLQ)-1]
		run.DLQ = run.DLQ[:len(run.DLQ)-1]
		run.Replay.DLQ = slices.DeleteFunc(run.Replay.DLQ, func(r history.Record) bool { return r.Offset == last.Offset })
	}},
	"a good event is a dead letter": {"dead-letters", func(_ *testing.T, run *history.Run) {
		setHeader(&run.DLQ[0], "original-offset", "0")
	}},
	"a dead letter has another value": {"dead-letters", func(_ *testing.T, run *history.Run) {
		run.DLQ[0].Value = append([]byte("x"), run.DLQ[0].Value...)
	}},
	"null has become the empty value": {"dead-letters", func(t *testing.T, run *history.Run) {
		find(t, run.DLQ, func(r *history.Record) bool { return r.Value == nil }).Value = []byte{}
	}},
	"a dead letter has another key":    {"dead-letters", func(_ *testing.T, run *history.Run) { run.DLQ[0].Key = []byte("task-0") }},
	"a dead letter does not say why":   {"dead-letters", func(_ *testing.T, run *history.Run) { setHeader(&run.DLQ[0], "error", "") }},
	"a dead letter lost a header":      {"dead-letters", func(_ *testing.T, run *history.Run) { run.DLQ[0].Headers = run.DLQ[0].Headers[1:] }},
	"a dead letter without an address": {"dead-letters", func(_ *testing.T, run *history.Run) { setHeader(&run.DLQ[0], "original-partition", "") }},
}

var inTheLettersOfBatches = map[string]corruption{
	"a batch has no letter": {"dead-letters", func(t *testing.T, run *history.Run) {
		gone := batchLetter(t, run).Offset
		drop := func(r history.Record) bool { return r.Offset == gone }
		run.DLQ, run.Replay.DLQ = slices.DeleteFunc(run.DLQ, drop), slices.DeleteFunc(run.Replay.DLQ, drop)
	}},
	"a batch's letter has contents":      {"dead-letters", func(t *testing.T, run *history.Run) { batchLetter(t, run).Value = []byte("much") }},
	"a batch's letter ends too early":    {"dead-letters", func(t *testing.T, run *history.Run) { shift(batchLetter(t, run), -1) }},
	"a batch's letter goes too far":      {"dead-letters", func(t *testing.T, run *history.Run) { shift(batchLetter(t, run), 1) }},
	"a batch's letter has no end":        {"dead-letters", func(t *testing.T, run *history.Run) { setHeader(batchLetter(t, run), "original-last-offset", "") }},
	"a batch's letter has no size":       {"dead-letters", func(t *testing.T, run *history.Run) { setHeader(batchLetter(t, run), "original-size", "0") }},
	"a batch's letter does not say why":  {"dead-letters", func(t *testing.T, run *history.Run) { setHeader(batchLetter(t, run), "error", "") }},
	"a record of a batch has an own one": {"dead-letters", func(t *testing.T, run *history.Run) { shiftStart(batchLetter(t, run)) }},
}

// batchLetter returns a letter of a batch.
func batchLetter(t *testing.T, run *history.Run) *history.Record {
	t.Helper()
	return find(t, run.DLQ, func(r *history.Record) bool { return r.Header("original-last-offset") != "" })
}

// shift moves where the letter says that its batch ends.
func shift(r *history.Record, by int64) { add(r, "original-last-offset", by) }

// shiftStart moves where it begins.
func shiftStart(r *history.Record) { add(r, "original-offset", 1) }

func add(r *history.Record, header string, by int64) {
	number, _ := strconv.ParseInt(r.Header(header), 10, 64)
	setHeader(r, header, strconv.FormatInt(number+by, 10))
}

// setHeader changes a header; records share none of theirs with each other.
func setHeader(r *history.Record, key, value string) {
	r.Headers = slices.Clone(r.Headers)
	for i := range r.Headers {
		if r.Headers[i].Key == key {
			r.Headers[i].Value = value
		}
	}
}
