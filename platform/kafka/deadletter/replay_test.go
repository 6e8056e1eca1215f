package deadletter_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/internal/brokertest"
	"example.com/todo/platform/testenv"
)

func header(key, value string) kgo.RecordHeader {
	return kgo.RecordHeader{Key: key, Value: []byte(value)}
}

func TestReplayDeliversFailedRecordsOnceAndOnlyToTheirGroup(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(e env) {
		readers, others := &flakyHandler{}, &flakyHandler{fixed: true}
		e.runGroup("readers", readers)
		e.runGroup("others", others)
		e.send(
			&kgo.Record{Topic: e.Topic, Key: []byte("k"), Value: []byte("bad 1"), Headers: []kgo.RecordHeader{header("kind", "made"), header("traceparent", "00-1-2-01"), header("error", "mine")}},
			&kgo.Record{Topic: e.Topic, Key: []byte("k"), Value: []byte("good")},
			&kgo.Record{Topic: e.Topic, Partition: 1, Value: []byte("bad 2")},
		)
		testenv.Eventually(e, "the dead letters", func() bool { return len(e.readTopic(e.DLQ)) == 2 && len(others.handled()) == 3 })
		readers.fix()

		first := e.run("replay", "--all")
		if first.status != 0 || !strings.HasSuffix(first.stdout, "replayed 2, skipped 0: 0 already replayed, 0 failed again after 3 replays\n") {
			e.Errorf("first: %+v", first)
		}
		testenv.Eventually(e, "the replays", func() bool { return len(readers.handled()) == 3 })
		second := e.run("replay", "--all")
		if second.status != 0 || !strings.HasSuffix(second.stdout, "replayed 0, skipped 2: 2 already replayed, 0 failed again after 3 replays\n") {
			e.Errorf("second: %+v", second)
		}
		e.send(&kgo.Record{Topic: e.Topic, Value: []byte("last")}, &kgo.Record{Topic: e.Topic, Partition: 1, Value: []byte("last")})
		for group, r := range map[string]*flakyHandler{"readers": readers, "others": others} {
			testenv.Eventually(e, group+" reads to the end", func() bool { return strings.Count(strings.Join(r.handled(), ","), "last") == 2 })
		}
		got := slices.Sorted(slices.Values(readers.handled()))
		if diff := cmp.Diff([]string{"bad 1", "bad 2", "good", "last", "last"}, got); diff != "" {
			e.Errorf("the group that failed handled (-want +got):\n%s", diff)
		}
		if got := others.handled(); len(got) != 5 {
			e.Errorf("the other group handled %q", got)
		}
	})
}

func TestReplayIsByteForByteTheOriginalRecord(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(e env) {
		binary := e.deadLetter(1, "k\xff", "\x00\xff not text", header("kind", "made"), header("error", "mine"), header("h", "\xfe"), header("traceparent", "00-1-2-01"))
		null := e.deadLetter(2, "null", "")
		null.Value = nil
		empty := e.deadLetter(3, "", "")
		empty.Key = nil
		e.send(binary, null, empty)
		if got := e.run("replay", "--all"); got.status != 0 {
			e.Fatal(got)
		}
		replays := map[string]kafka.Record{}
		for _, record := range e.readTopic(e.Topic) {
			replays[record.Header("replay-of")] = record
		}
		added := func(of string) []kafka.Header {
			return []kafka.Header{{Key: "replay-group", Value: e.Group("readers")}, {Key: "replay-of", Value: of}, {Key: "replays", Value: "1"}}
		}
		for of, want := range map[string]kafka.Record{
			"0:0": {Key: binary.Key, Value: binary.Value, Headers: append([]kafka.Header{
				{Key: "kind", Value: "made"}, {Key: "error", Value: "mine"}, {Key: "h", Value: "\xfe"}, {Key: "traceparent", Value: "00-1-2-01"},
			}, added("0:0")...)},
			"0:1": {Key: []byte("null"), Value: nil, Headers: added("0:1")},
			"0:2": {Key: nil, Value: []byte{}, Headers: added("0:2")},
		} {
			got := kafka.Record{Key: replays[of].Key, Value: replays[of].Value, Headers: replays[of].Headers}
			if diff := cmp.Diff(want, got); diff != "" {
				e.Errorf("the replay of %s (-want +got):\n%s", of, diff)
			}
			if age := time.Since(replays[of].Time); age > time.Minute {
				e.Errorf("the replay of %s is %v old", of, age)
			}
		}
	})
}

// Repeated replays keep the record's headers and partition, and add no headers.
func TestReplaySkipsARecordThatFailedAfterMaxReplays(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(e env) {
		e.runGroup("readers", &flakyHandler{})
		e.send(&kgo.Record{Topic: e.Topic, Partition: 1, Key: []byte("k"), Value: []byte("bad"), Headers: []kgo.RecordHeader{header("kind", "made"), header("error", "mine")}})
		for round := range 3 {
			testenv.Eventually(e, "the dead letter", func() bool { return len(e.readTopic(e.DLQ)) == round+1 })
			if got := e.run("replay", "--all"); got.status != 0 || !strings.Contains(got.stdout, fmt.Sprintf("\nreplayed 1, skipped %d", round)) {
				e.Fatalf("round %d: %+v", round, got)
			}
		}
		testenv.Eventually(e, "the last dead letter", func() bool { return len(e.readTopic(e.DLQ)) == 4 })
		last := e.run("replay", "--all")
		if last.status != 0 || !strings.Contains(last.stdout, "skipped: it failed again after 3 replays (--max-replays 3)\n") ||
			!strings.HasSuffix(last.stdout, "replayed 0, skipped 4: 3 already replayed, 1 failed again after 3 replays\n") {
			e.Errorf("the last: %+v", last)
		}
		letters := e.readTopic(e.DLQ)
		for i, letter := range letters {
			if letter.Partition != letters[0].Partition {
				e.Errorf("dead letter %d is in partition %d, the first in %d", i, letter.Partition, letters[0].Partition)
			}
		}
		keys := []string{}
		for _, header := range letters[3].Headers {
			keys = append(keys, header.Key)
		}
		want := []string{"kind", "error", "replay-group", "replay-of", "replays", "error", "original-topic", "original-partition",
			"original-offset", "consumer-group", "attempts", "failed-at"}
		if diff := cmp.Diff(want, keys); diff != "" {
			e.Errorf("headers of the last dead letter (-want +got):\n%s", diff)
		}
		if got := letters[3].Header("replays"); got != "3" {
			e.Errorf("replays is %s", got)
		}
		more := e.run("replay", "--all", "--max-replays", "4")
		if more.status != 0 || !strings.Contains(more.stdout, "replayed 1, ") {
			e.Errorf("with a higher limit: %+v", more)
		}
	})
}

// interrupter calls cancel when remaining lines that contain the text were written.
type interrupter struct {
	strings.Builder
	text      string
	remaining int
	cancel    context.CancelFunc
}

func (i *interrupter) Write(line []byte) (int, error) {
	if strings.Contains(string(line), i.text) {
		if i.remaining--; i.remaining == 0 {
			i.cancel()
		}
	}
	return i.Builder.Write(line)
}

func TestReplayContinuesAfterAnInterruptedReplay(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(e env) {
		for i := range 10 {
			e.send(e.deadLetter(i, fmt.Sprint("key ", i), fmt.Sprint("value ", i)))
		}
		ctx, cancel := context.WithCancel(brokertest.TimeoutContext(e.T))
		out, stderr := &interrupter{text: "replayed to", remaining: 4, cancel: cancel}, &strings.Builder{}
		status := e.runTo(ctx, out, stderr, "replay", "--all")
		if want := "service: interrupted: replayed 4, skipped 0: 0 already replayed, 0 failed again after 3 replays; run it again for the rest\n"; status != 1 || stderr.String() != want {
			e.Errorf("interrupted: status %d, %q", status, stderr)
		}
		if got := len(e.readTopic(e.Topic)); got != 4 {
			e.Errorf("%d records after the interrupted replay", got)
		}
		if got := e.run("replay", "--all"); got.status != 0 || !strings.HasSuffix(got.stdout, "replayed 6, skipped 4: 4 already replayed, 0 failed again after 3 replays\n") {
			e.Errorf("the second: %+v", got)
		}
		if got := len(e.readTopic(e.Topic)); got != 10 {
			e.Errorf("%d records in the end", got)
		}
		if got := e.run("replay", "--all", "--again"); got.status != 0 || len(e.readTopic(e.Topic)) != 20 {
			e.Errorf("again: %+v", got)
		}
	})
}

func TestInterruptedReplayFinishesTheRecordInFlight(t *testing.T) {
	t.Parallel()
	e := newInProcessEnv(t)
	e.send(e.deadLetter(0, "k", "1"), e.deadLetter(1, "k", "2"))
	ctx, cancel := context.WithCancel(brokertest.TimeoutContext(e.T))
	e.Fake.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cancel()
		return nil, nil, false
	})
	out, stderr := &strings.Builder{}, &strings.Builder{}
	status := e.runTo(ctx, out, stderr, "replay", "--all")
	if status != 1 || out.String() != "0:0 replayed to "+e.Topic+"\n" || !strings.Contains(stderr.String(), "interrupted: replayed 1, ") || len(e.readTopic(e.Topic)) != 1 {
		t.Errorf("status %d: %s%s", status, out, stderr)
	}
}

// A consumer that dies after it wrote a dead letter, or a group that loses its offsets, writes another.
func TestReplayReplaysSeveralDeadLettersOfOneRecordOnce(t *testing.T) {
	t.Parallel()
	e := newInProcessEnv(t)
	null := e.deadLetter(2, "k", "")
	null.Value = nil
	earlier := time.Now().Add(-100 * 24 * time.Hour).UTC()
	e.send(
		withHeader(e.deadLetter(1, "k", "value"), "failed-at", earlier.Format(time.RFC3339)),
		e.deadLetter(1, "k", "value"),
		e.deadLetter(1, "k", "of an earlier topic of that name"),
		e.deadLetter(2, "k", ""), null,
		&kgo.Record{Topic: e.Topic, Value: []byte("value"), Key: []byte("k"), Timestamp: earlier.Add(time.Hour), Headers: []kgo.RecordHeader{header("replay-of", "0:0")}},
		&kgo.Record{Topic: e.Topic, Value: []byte("of an earlier dead-letter topic"), Headers: []kgo.RecordHeader{header("replay-of", "0:2")}},
	)
	got := e.run("replay", "--since", "1h")
	to := " replayed to " + e.Topic + "\n"
	want := "0:1 already replayed\n0:2" + to + "0:3" + to + "0:4" + to + "replayed 3, skipped 1: 1 already replayed, 0 failed again after 3 replays\n"
	if got.status != 0 || got.stdout != want {
		t.Errorf("%+v", got)
	}
}

func TestDryRunWritesNothing(t *testing.T) {
	t.Parallel()
	e := newInProcessEnv(t)
	e.send(e.deadLetter(1, "k", "1"), e.deadLetter(2, "k", "2", header("replays", "3")))
	got := e.run("replay", "--dry-run", "--all")
	want := "0:0 would be replayed to " + e.Topic + "\n0:1 skipped: it failed again after 3 replays (--max-replays 3)\n" +
		"would replay 1, skipped 1: 0 already replayed, 1 failed again after 3 replays\n"
	if got.status != 0 || got.stdout != want || len(e.readTopic(e.Topic)) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestReplayKeepsItsRate(t *testing.T) {
	t.Parallel()
	e := newInProcessEnv(t)
	for i := range 5 {
		e.send(e.deadLetter(i, "k", fmt.Sprint(i)))
	}
	start := time.Now()
	got := e.run("replay", "--all", "--rate", "10")
	if took := time.Since(start); got.status != 0 || took < 400*time.Millisecond {
		t.Errorf("took %v: %+v", took, got)
	}
}

func TestPositionsAndFiltersSelectWhatIsReplayed(t *testing.T) {
	t.Parallel()
	e := newInProcessEnv(t)
	e.send(e.deadLetter(0, "a", "0", header("kind", "made")), e.deadLetter(1, "b", "1"), e.deadLetter(2, "a", "2"))
	for _, step := range []struct {
		args string
		want []string // in the topic afterwards
	}{
		{"0:2", []string{"2"}},
		{"--key b 0:0", []string{"2"}},
		{"--key b", []string{"1", "2"}},
		{"--type unmade", []string{"1", "2"}},
		{"--type made", []string{"0", "1", "2"}},
	} {
		got := e.run(append([]string{"replay"}, strings.Fields(step.args)...)...)
		var values []string
		for _, record := range e.readTopic(e.Topic) {
			values = append(values, string(record.Value))
		}
		slices.Sort(values)
		if diff := cmp.Diff(step.want, values); got.status != 0 || diff != "" {
			t.Errorf("%s: %+v (-want +got):\n%s", step.args, got, diff)
		}
	}
}

// The headers of a replay make the record larger than the topic's limit.
func TestReplayContinuesAfterARejectedRecord(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(e env) {
		e.setMaxMessageBytes(e.Topic, 10_000)
		e.send(e.deadLetter(0, "k", "1"), e.deadLetter(1, "k", strings.Repeat("x", 10_000)), e.deadLetter(2, "k", "3"))
		const rest = "2, skipped 1: 0 already replayed, 0 failed again after 3 replays, 1 rejected by Kafka; records that Kafka rejects stay dead letters\n"
		got := e.run("replay", "--all")
		if got.status != 1 || got.stderr != "service: replayed "+rest || !strings.Contains(got.stdout, "0:1 skipped: the dead letter at 0:1 cannot be written to topic ") || len(e.readTopic(e.Topic)) != 2 {
			t.Errorf("%+v", got)
		}
		if got := e.run("replay", "--all"); got.status != 1 || len(e.readTopic(e.Topic)) != 2 {
			t.Errorf("the second: %+v", got)
		}
	})
}

func TestReplaySkipsDeadLettersWithAMissingTopic(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(e env) {
		e.send(withHeader(e.deadLetter(0, "k", "gone"), "original-topic", e.Topic+"-gone"), withHeader(e.deadLetter(1, "k", "no name"), "original-topic", "no name"), e.deadLetter(2, "k", "v"))
		got := e.run("replay", "--all")
		want := "replayed 1, skipped 2: 0 already replayed, 0 failed again after 3 replays, 2 with a missing topic; create the missing topics and run it again for the rest\n"
		if got.status == 0 || !strings.HasSuffix(got.stderr, want) || strings.Count(got.stdout, "does not exist") != 2 {
			e.Errorf("got %+v", got)
		}
		if replayed := e.readTopic(e.Topic); len(replayed) != 1 || string(replayed[0].Value) != "v" {
			e.Errorf("replayed were %v", replayed)
		}
		if again := e.run("replay", "--all", "--dry-run"); again.status == 0 || !strings.Contains(again.stderr, "would replay 0, skipped 3: 1 already replayed") {
			e.Errorf("again: %+v", again)
		}
	})
}

// A record of a compressed batch may exceed the limit of the dead-letter topic when it is decompressed.
func TestDeadLetterIsCompressedLikeItsRecord(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(e env) {
		e.setMaxMessageBytes(e.DLQ, 50_000)
		readers := &flakyHandler{}
		e.runGroup("readers", readers)
		value := "bad " + strings.Repeat("b", 900_000)
		e.send(&kgo.Record{Topic: e.Topic, Key: []byte("k"), Value: []byte(value)}, &kgo.Record{Topic: e.Topic, Key: []byte("k"), Value: []byte("good")})
		testenv.Eventually(e, "the next record", func() bool { return len(readers.handled()) == 1 })
		if letters := e.readTopic(e.DLQ); len(letters) != 1 || string(letters[0].Value) != value {
			e.Errorf("%d dead letters, want the one with the record", len(letters))
		}
	})
}

// An undecodable batch in the dead-letter topic is skipped with one warning.
func TestReplaySkipsDeadLettersWithoutContents(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(e env) {
		batch := e.deadLetter(1, "", "", header("original-size", "mine"))
		batch.Key, batch.Value = nil, nil
		batch.Headers = append(batch.Headers, header("original-last-offset", "80"), header("original-size", "71000"))
		whole := e.deadLetter(90, "k", "bad", header("original-size", "7"))
		e.send(batch)
		e.sendOversizedBatch(e.DLQ)
		e.send(whole)
		listed := e.run("list")
		if listed.status != 0 || strings.Count(listed.stderr, "skipped in topic "+e.DLQ) != 1 || !strings.Contains(listed.stderr, "offsets 1 to 80 cannot be decoded") ||
			!strings.Contains(listed.stderr, "2 dead letters") {
			e.Errorf("list: %+v", listed)
		}
		if shown := e.run("show", "0:0"); !strings.Contains(shown.stdout, "not in the dead letter: 71000 bytes, up to offset 80") {
			e.Errorf("show: %+v", shown)
		}
		got := e.run("replay", "--all")
		if got.status != 0 || !strings.Contains(got.stdout, "0:0 skipped: it lacks the 71000 bytes at 0:1 of topic "+e.Topic) ||
			!strings.HasSuffix(got.stdout, "replayed 1, skipped 1: 0 already replayed, 0 failed again after 3 replays, 1 without contents\n") {
			e.Errorf("replay: %+v", got)
		}
		replayed := e.readTopic(e.Topic)
		if len(replayed) != 1 || string(replayed[0].Value) != "bad" || replayed[0].Header("original-size") != "7" {
			e.Errorf("%d records replayed, the first %+v", len(replayed), replayed)
		}
	})
}
