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
)

func header(key, value string) kgo.RecordHeader {
	return kgo.RecordHeader{Key: key, Value: []byte(value)}
}

// The whole round: what failed is replayed for the group that failed, once,
// however often the command is run.
func TestWhatFailedIsReplayedOnceForItsGroup(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		readers, others := &groupHandler{}, &groupHandler{cured: true}
		w.serve("readers", readers)
		w.serve("others", others)
		w.send(
			&kgo.Record{Topic: w.topic, Key: []byte("k"), Value: []byte("bad 1"), Headers: []kgo.RecordHeader{header("kind", "made"), header("traceparent", "00-1-2-01"), header("error", "mine")}},
			&kgo.Record{Topic: w.topic, Key: []byte("k"), Value: []byte("good")},
			&kgo.Record{Topic: w.topic, Partition: 1, Value: []byte("bad 2")},
		)
		w.await("the dead letters", func() bool { return len(w.read(w.dlq)) == 2 && len(others.handled()) == 3 })
		readers.cure()

		first := w.run("replay", "--all")
		if first.status != 0 || !strings.HasSuffix(first.stdout, "replayed 2, skipped 0: 0 already replayed, 0 failed again after 3 replays\n") {
			w.Errorf("first: %+v", first)
		}
		w.await("the replays", func() bool { return len(readers.handled()) == 3 })
		second := w.run("replay", "--all")
		if second.status != 0 || !strings.HasSuffix(second.stdout, "replayed 0, skipped 2: 2 already replayed, 0 failed again after 3 replays\n") {
			w.Errorf("second: %+v", second)
		}
		w.send(&kgo.Record{Topic: w.topic, Value: []byte("last")}, &kgo.Record{Topic: w.topic, Partition: 1, Value: []byte("last")})
		for group, r := range map[string]*groupHandler{"readers": readers, "others": others} {
			w.await(group+" to come to the end", func() bool { return strings.Count(strings.Join(r.handled(), ","), "last") == 2 })
		}
		got := slices.Sorted(slices.Values(readers.handled()))
		if diff := cmp.Diff([]string{"bad 1", "bad 2", "good", "last", "last"}, got); diff != "" {
			w.Errorf("the group that failed handled (-want +got):\n%s", diff)
		}
		if got := others.handled(); len(got) != 5 {
			w.Errorf("the other group handled %q", got)
		}
	})
}

func TestAReplayIsTheOriginalByteForByte(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		binary := w.letter(1, "k\xff", "\x00\xff not text", header("kind", "made"), header("error", "mine"), header("h", "\xfe"), header("traceparent", "00-1-2-01"))
		null := w.letter(2, "null", "")
		null.Value = nil
		empty := w.letter(3, "", "")
		empty.Key = nil
		w.send(binary, null, empty)
		if said := w.run("replay", "--all"); said.status != 0 {
			w.Fatal(said)
		}
		copies := map[string]kafka.Record{}
		for _, record := range w.read(w.topic) {
			copies[record.Header("replay-of")] = record
		}
		added := func(of string) []kafka.Header {
			return []kafka.Header{{Key: "replay-group", Value: w.group("readers")}, {Key: "replay-of", Value: of}, {Key: "replays", Value: "1"}}
		}
		for of, want := range map[string]kafka.Record{
			"0:0": {Key: binary.Key, Value: binary.Value, Headers: append([]kafka.Header{
				{Key: "kind", Value: "made"}, {Key: "error", Value: "mine"}, {Key: "h", Value: "\xfe"}, {Key: "traceparent", Value: "00-1-2-01"},
			}, added("0:0")...)},
			"0:1": {Key: []byte("null"), Value: nil, Headers: added("0:1")},
			"0:2": {Key: nil, Value: []byte{}, Headers: added("0:2")},
		} {
			got := kafka.Record{Key: copies[of].Key, Value: copies[of].Value, Headers: copies[of].Headers}
			if diff := cmp.Diff(want, got); diff != "" {
				w.Errorf("the copy of %s (-want +got):\n%s", of, diff)
			}
			if age := time.Since(copies[of].Time); age > time.Minute {
				w.Errorf("the copy of %s is %v old", of, age)
			}
		}
	})
}

// A record that fails in every round keeps its own headers and its partition,
// gathers none, and is left alone in the end.
func TestAMessageThatFailsAgainAndAgainStays(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		w.serve("readers", &groupHandler{})
		w.send(&kgo.Record{Topic: w.topic, Partition: 1, Key: []byte("k"), Value: []byte("bad"), Headers: []kgo.RecordHeader{header("kind", "made"), header("error", "mine")}})
		for round := range 3 {
			w.await("the dead letter", func() bool { return len(w.read(w.dlq)) == round+1 })
			if said := w.run("replay", "--all"); said.status != 0 || !strings.Contains(said.stdout, fmt.Sprintf("\nreplayed 1, skipped %d", round)) {
				w.Fatalf("round %d: %+v", round, said)
			}
		}
		w.await("the last dead letter", func() bool { return len(w.read(w.dlq)) == 4 })
		last := w.run("replay", "--all")
		if last.status != 0 || !strings.Contains(last.stdout, "stays: it failed again after 3 replays (--max-replays 3)\n") ||
			!strings.HasSuffix(last.stdout, "replayed 0, skipped 4: 3 already replayed, 1 failed again after 3 replays\n") {
			w.Errorf("the last: %+v", last)
		}
		letters := w.read(w.dlq)
		for i, letter := range letters {
			if letter.Partition != letters[0].Partition {
				w.Errorf("letter %d is in partition %d, the first in %d", i, letter.Partition, letters[0].Partition)
			}
		}
		keys := []string{}
		for _, header := range letters[3].Headers {
			keys = append(keys, header.Key)
		}
		want := []string{"kind", "error", "replay-group", "replay-of", "replays", "error", "original-topic", "original-partition",
			"original-offset", "consumer-group", "attempts", "failed-at"}
		if diff := cmp.Diff(want, keys); diff != "" {
			w.Errorf("the last letter's headers (-want +got):\n%s", diff)
		}
		if got := letters[3].Header("replays"); got != "3" {
			w.Errorf("replays is %s", got)
		}
		more := w.run("replay", "--all", "--max-replays", "4")
		if more.status != 0 || !strings.Contains(more.stdout, "replayed 1, ") {
			w.Errorf("with a higher limit: %+v", more)
		}
	})
}

// interrupter ends the context after so many lines that contain the text.
type interrupter struct {
	strings.Builder
	text   string
	left   int
	cancel context.CancelFunc
}

func (i *interrupter) Write(line []byte) (int, error) {
	if strings.Contains(string(line), i.text) {
		if i.left--; i.left == 0 {
			i.cancel()
		}
	}
	return i.Builder.Write(line)
}

func TestAHalfFinishedReplayIsFinishedByAnother(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		for i := range 10 {
			w.send(w.letter(i, fmt.Sprint("key ", i), fmt.Sprint("value ", i)))
		}
		ctx, cancel := context.WithCancel(w.soon())
		out, notes := &interrupter{text: "replayed to", left: 4, cancel: cancel}, &strings.Builder{}
		status := w.runIn(ctx, out, notes, "replay", "--all")
		if want := "service: interrupted: replayed 4, skipped 0: 0 already replayed, 0 failed again after 3 replays; run it again for the rest\n"; status != 1 || notes.String() != want {
			w.Errorf("interrupted: status %d, %q", status, notes)
		}
		if got := len(w.read(w.topic)); got != 4 {
			w.Errorf("%d records after the interrupted replay", got)
		}
		if said := w.run("replay", "--all"); said.status != 0 || !strings.HasSuffix(said.stdout, "replayed 6, skipped 4: 4 already replayed, 0 failed again after 3 replays\n") {
			w.Errorf("the second: %+v", said)
		}
		if got := len(w.read(w.topic)); got != 10 {
			w.Errorf("%d records in the end", got)
		}
		if said := w.run("replay", "--all", "--again"); said.status != 0 || len(w.read(w.topic)) != 20 {
			w.Errorf("again: %+v", said)
		}
	})
}

func TestToldToStopItFinishesTheRecordInHand(t *testing.T) {
	t.Parallel()
	w := inProcess(t)
	w.send(w.letter(0, "k", "1"), w.letter(1, "k", "2"))
	ctx, cancel := context.WithCancel(w.soon())
	w.fake.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cancel()
		return nil, nil, false
	})
	out, notes := &strings.Builder{}, &strings.Builder{}
	status := w.runIn(ctx, out, notes, "replay", "--all")
	if status != 1 || out.String() != "0:0 replayed to "+w.topic+"\n" || !strings.Contains(notes.String(), "interrupted: replayed 1, ") || len(w.read(w.topic)) != 1 {
		t.Errorf("status %d: %s%s", status, out, notes)
	}
}

// A failed record may have several letters: the process died after writing one,
// or the group lost its place and read the topic anew.
func TestLettersOfOneFailedRecordAreReplayedOnce(t *testing.T) {
	t.Parallel()
	w := inProcess(t)
	null := w.letter(2, "k", "")
	null.Value = nil
	earlier := time.Now().Add(-100 * 24 * time.Hour).UTC()
	w.send(
		with(w.letter(1, "k", "value"), "failed-at", earlier.Format(time.RFC3339)),
		w.letter(1, "k", "value"),
		w.letter(1, "k", "another topic of that name, then"),
		w.letter(2, "k", ""), null,
		&kgo.Record{Topic: w.topic, Value: []byte("value"), Key: []byte("k"), Timestamp: earlier.Add(time.Hour), Headers: []kgo.RecordHeader{header("replay-of", "0:0")}},
		&kgo.Record{Topic: w.topic, Value: []byte("of another time"), Headers: []kgo.RecordHeader{header("replay-of", "0:2")}},
	)
	said := w.run("replay", "--since", "1h")
	to := " replayed to " + w.topic + "\n"
	want := "0:1 already replayed\n0:2" + to + "0:3" + to + "0:4" + to + "replayed 3, skipped 1: 1 already replayed, 0 failed again after 3 replays\n"
	if said.status != 0 || said.stdout != want {
		t.Errorf("%+v", said)
	}
}

func TestADryRunWritesNothing(t *testing.T) {
	t.Parallel()
	w := inProcess(t)
	w.send(w.letter(1, "k", "1"), w.letter(2, "k", "2", header("replays", "3")))
	said := w.run("replay", "--dry-run", "--all")
	want := "0:0 would be replayed to " + w.topic + "\n0:1 stays: it failed again after 3 replays (--max-replays 3)\n" +
		"would replay 1, skipped 1: 0 already replayed, 1 failed again after 3 replays\n"
	if said.status != 0 || said.stdout != want || len(w.read(w.topic)) != 0 {
		t.Errorf("%+v", said)
	}
}

func TestAReplayTakesItsTime(t *testing.T) {
	t.Parallel()
	w := inProcess(t)
	for i := range 5 {
		w.send(w.letter(i, "k", fmt.Sprint(i)))
	}
	begun := time.Now()
	said := w.run("replay", "--all", "--rate", "10")
	if took := time.Since(begun); said.status != 0 || took < 400*time.Millisecond {
		t.Errorf("took %v: %+v", took, said)
	}
}

func TestPlacesAndFiltersChooseWhatIsReplayed(t *testing.T) {
	t.Parallel()
	w := inProcess(t)
	w.send(w.letter(0, "a", "0", header("kind", "made")), w.letter(1, "b", "1"), w.letter(2, "a", "2"))
	for _, step := range []struct {
		args string
		want []string // in the topic by then
	}{
		{"0:2", []string{"2"}},
		{"--key b 0:0", []string{"2"}},
		{"--key b", []string{"1", "2"}},
		{"--type unmade", []string{"1", "2"}},
		{"--type made", []string{"0", "1", "2"}},
	} {
		said := w.run(append([]string{"replay"}, strings.Fields(step.args)...)...)
		var values []string
		for _, record := range w.read(w.topic) {
			values = append(values, string(record.Value))
		}
		slices.Sort(values)
		if diff := cmp.Diff(step.want, values); said.status != 0 || diff != "" {
			t.Errorf("%s: %+v (-want +got):\n%s", step.args, said, diff)
		}
	}
}

// A letter that its topic does not take is in nobody's way. The record had just
// room enough, and a replay's headers make it larger.
func TestALetterThatIsRefusedDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		w.limit(w.topic, 10_000)
		w.send(w.letter(0, "k", "1"), w.letter(1, "k", strings.Repeat("x", 10_000)), w.letter(2, "k", "3"))
		const rest = "2, skipped 1: 0 already replayed, 0 failed again after 3 replays, 1 refused by Kafka; what Kafka refuses is still a dead letter\n"
		said := w.run("replay", "--all")
		if said.status != 1 || said.notes != "service: replayed "+rest || !strings.Contains(said.stdout, "0:1 stays: the dead letter at 0:1 could not be written to topic ") || len(w.read(w.topic)) != 2 {
			t.Errorf("%+v", said)
		}
		if said := w.run("replay", "--all"); said.status != 1 || len(w.read(w.topic)) != 2 {
			t.Errorf("the second: %+v", said)
		}
	})
}

// The topics may be of another system, or deleted, or no names at all.
func TestAReplayGoesOnPastLettersWhoseTopicIsMissing(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		w.send(with(w.letter(0, "k", "gone"), "original-topic", w.topic+"-gone"), with(w.letter(1, "k", "no name"), "original-topic", "no name"), w.letter(2, "k", "v"))
		got := w.run("replay", "--all")
		want := "replayed 1, skipped 2: 0 already replayed, 0 failed again after 3 replays, 2 of topics that do not exist; create the topics that are missing, and run it again for the rest\n"
		if got.status == 0 || !strings.HasSuffix(got.notes, want) || strings.Count(got.stdout, "does not exist") != 2 {
			w.Errorf("got %+v", got)
		}
		if replayed := w.read(w.topic); len(replayed) != 1 || string(replayed[0].Value) != "v" {
			w.Errorf("replayed were %v", replayed)
		}
		if again := w.run("replay", "--all", "--dry-run"); again.status == 0 || !strings.Contains(again.notes, "would replay 0, skipped 3: 1 already replayed") {
			w.Errorf("again: %+v", again)
		}
	})
}

// A record that came in a compressed batch may be larger than the dead letters' topic takes.
func TestALetterTakesLittleMoreRoomThanItsRecordTook(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		w.limit(w.dlq, 50_000)
		readers := &groupHandler{}
		w.serve("readers", readers)
		value := "bad " + strings.Repeat("b", 900_000)
		w.send(&kgo.Record{Topic: w.topic, Key: []byte("k"), Value: []byte(value)}, &kgo.Record{Topic: w.topic, Key: []byte("k"), Value: []byte("good")})
		w.await("what comes behind it", func() bool { return len(readers.handled()) == 1 })
		if letters := w.read(w.dlq); len(letters) != 1 || string(letters[0].Value) != value {
			w.Errorf("%d letters, want the one that holds the record", len(letters))
		}
	})
}

// What was dead-lettered without its contents cannot be replayed, and what cannot be
// decoded among the dead letters themselves is passed over, which is said once.
func TestNothingIsReplayedOfWhatHasNoContents(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w world) {
		batch := w.letter(1, "", "", header("original-size", "mine"))
		batch.Key, batch.Value = nil, nil
		batch.Headers = append(batch.Headers, header("original-last-offset", "80"), header("original-size", "71000"))
		whole := w.letter(90, "k", "bad", header("original-size", "7"))
		w.send(batch)
		w.sendTooLarge(w.dlq)
		w.send(whole)
		listed := w.run("list")
		if listed.status != 0 || strings.Count(listed.notes, "passed over in topic "+w.dlq) != 1 || !strings.Contains(listed.notes, "offsets 1 to 80 cannot be decoded") ||
			!strings.Contains(listed.notes, "2 dead letters") {
			w.Errorf("list: %+v", listed)
		}
		if shown := w.run("show", "0:0"); !strings.Contains(shown.stdout, "not in the letter: 71000 bytes, up to offset 80") {
			w.Errorf("show: %+v", shown)
		}
		said := w.run("replay", "--all")
		if said.status != 0 || !strings.Contains(said.stdout, "0:0 stays: it has nothing of the 71000 bytes at 0:1 of topic "+w.topic) ||
			!strings.HasSuffix(said.stdout, "replayed 1, skipped 1: 0 already replayed, 0 failed again after 3 replays, 1 without contents\n") {
			w.Errorf("replay: %+v", said)
		}
		replayed := w.read(w.topic)
		if len(replayed) != 1 || string(replayed[0].Value) != "bad" || replayed[0].Header("original-size") != "7" {
			w.Errorf("%d records replayed, the first %+v", len(replayed), replayed)
		}
	})
}
