package checker_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"example.com/todo/scripts/prove/internal/history"
)

// injectRecords writes copies of a tenth of the events, and poison.
func (b *historyBuilder) injectRecords(t testing.TB) {
	const batchRecords = 3
	b.Expected.CopyFraction = 0.1
	for i := 0; i < len(b.Events); i += 10 {
		e := &b.Events[i]
		r := b.appendRecord(e, t, b.now)
		b.Copies = append(b.Copies, history.InjectedRecord{Kind: "copy", Position: b.endOf(r.Partition), EventID: e.ID})
	}
	poison := map[string][]byte{"bad json": []byte("{"), "null": nil, "kill": []byte(`{"id":"x","type":"task.completed","task_title":"kills"}`)}
	for _, kind := range slices.Sorted(maps.Keys(poison)) {
		b.Expected.Poison = append(b.Expected.Poison, kind)
		b.injectPoison(kind, "task-"+kind, poison[kind], history.Header{Key: "planted", Value: kind})
	}
	b.Expected.Poison = append(b.Expected.Poison, history.UndecodableBatch)
	for i := range batchRecords {
		b.injectPoison(history.UndecodableBatch, fmt.Sprint("task-batch-", i), fmt.Append(nil, "much ", i))
	}
	for _, group := range history.Groups {
		for i := range 5 {
			b.Exits = append(b.Exits, history.ProcessExit{Target: group + "-1", At: atSecond(220 + float64(i)), Status: "signal: killed"})
		}
	}
}

func (b *historyBuilder) injectPoison(kind, key string, value []byte, headers ...history.Header) {
	r := history.Record{Position: history.Position{Partition: 1}, Key: []byte(key), Value: value, Time: b.now, Headers: headers}
	b.Topic = append(b.Topic, r)
	b.Poison = append(b.Poison, history.InjectedRecord{Kind: kind, Position: b.endOf(1), Key: r.Key, Value: r.Value})
}

// endOf returns the position of the topic's last record, until assignOffsets.
func (b *historyBuilder) endOf(partition int32) history.Position {
	return history.Position{Partition: partition, Offset: int64(len(b.Topic) - 1)}
}

// assignOffsets gives the records their offsets. Before, the offset of an injected record is its
// index in Topic.
func (b *historyBuilder) assignOffsets() {
	next := map[int32]int64{}
	for i := range b.Topic {
		r := &b.Topic[i]
		r.Offset = next[r.Partition]
		next[r.Partition]++
	}
	for _, injected := range [][]history.InjectedRecord{b.Copies, b.Poison} {
		for i := range injected {
			injected[i].Offset = b.Topic[injected[i].Offset].Offset
		}
	}
}

// deliver adds the deliveries of every completion. Some are refused at first; one is a duplicate,
// whose sender is killed in between.
func (b *historyBuilder) deliver() {
	first := map[string]time.Time{}
	for _, r := range b.Topic {
		if id := r.Header("event-id"); first[id].IsZero() {
			first[id] = r.Time
		}
	}
	crashed := false
	for i, e := range b.Events {
		if e.Type != "task.completed" {
			continue
		}
		d := history.Delivery{At: first[e.ID].Add(time.Second), Key: e.ID, TaskID: e.Task.ID, Title: e.Title, SignatureValid: true, Status: 200}
		if i%7 == 0 {
			refused := d
			refused.Status = 503
			b.Deliveries = append(b.Deliveries, refused)
		}
		b.Deliveries = append(b.Deliveries, d)
		if !crashed && d.At.After(atSecond(69)) {
			crashed = true
			extra := d
			extra.At = atSecond(71)
			b.Deliveries = append(b.Deliveries, extra)
		}
	}
}

// deadLetterPoison adds the dead letters. One is repeated, as after a crash.
func (b *historyBuilder) deadLetterPoison() {
	for _, p := range b.poisonWithLetter() {
		for _, group := range history.Groups {
			b.DLQ = append(b.DLQ, b.deadLetter(p, group))
			if p.Position == b.Poison[0].Position {
				b.DLQ = append(b.DLQ, b.deadLetter(p, group))
			}
		}
	}
	for i := range b.DLQ {
		b.DLQ[i].Offset = int64(i)
	}
}

// poisonWithLetter returns the poison, and of a batch, which has one letter, the first record.
func (b *historyBuilder) poisonWithLetter() []history.InjectedRecord {
	return slices.CompactFunc(slices.Clone(b.Poison), func(p, next history.InjectedRecord) bool {
		return p.Kind == history.UndecodableBatch && next.Kind == p.Kind
	})
}

func (b *historyBuilder) deadLetter(p history.InjectedRecord, group string) history.Record {
	if p.Kind == history.UndecodableBatch {
		l := b.deadLetter(history.InjectedRecord{Kind: "none", Position: p.Position}, group)
		l.Headers = append(l.Headers,
			history.Header{Key: "original-last-offset", Value: fmt.Sprint(b.Poison[len(b.Poison)-1].Offset)},
			history.Header{Key: "original-size", Value: "71000"})
		return l
	}
	return history.Record{Key: p.Key, Value: p.Value, Headers: []history.Header{
		{Key: "planted", Value: p.Kind}, {Key: "error", Value: "unreadable"}, {Key: "original-topic", Value: "task-events"},
		{Key: "original-partition", Value: fmt.Sprint(p.Partition)}, {Key: "original-offset", Value: fmt.Sprint(p.Offset)},
		{Key: "consumer-group", Value: group}, {Key: "attempts", Value: "1"}, {Key: "failed-at", Value: "2026-01-16T00:00:00Z"},
	}}
}

func (b *historyBuilder) statsReports() []history.StatsReport {
	var reports []history.StatsReport
	for replica := range 2 {
		reports = append(reports, b.statsReport(replica, users...))
	}
	return reports
}

// statsReport counts the completions of the users.
func (b *historyBuilder) statsReport(replica int, users ...int64) history.StatsReport {
	r := history.StatsReport{Replica: replica + 1, ByDay: map[string]int64{"2026-01-14": 0}, Complete: true}
	for _, e := range b.Events {
		if e.Type == "task.completed" && slices.Contains(users, e.UserID) {
			r.Total++
			r.ByDay[e.At.Format("2006-01-02")]++
		}
	}
	return r
}

// replay adds the result of a replay: all poison is dead-lettered again, and each dead letter is
// replayed to its group.
func (b *historyBuilder) replay() {
	b.Expected.Replay = true
	b.Replay = history.Replay{Done: true, Stats: b.statsReports(), UserReports: b.userReports(), Events: len(b.Events), DLQ: append([]history.Record(nil), b.DLQ...)}
	for _, p := range slices.Backward(b.poisonWithLetter()) {
		for _, group := range history.Groups {
			l := b.deadLetter(p, group)
			l.Offset = int64(len(b.Replay.DLQ))
			b.Replay.DLQ = append(b.Replay.DLQ, l)
			if p.Kind == history.UndecodableBatch {
				continue // an undecodable batch cannot be replayed
			}
			l.Offset++
			l.Headers = append(l.Headers, history.Header{Key: "replay-group", Value: group})
			b.Replay.DLQ = append(b.Replay.DLQ, l)
		}
	}
}
