package deadletter_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestListSaysWhyAndWhen(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(w env) {
		failed := w.deadLetter(17, "k", "v", header("kind", "made"), header("replays", "2"))
		escape := withHeader(w.deadLetter(18, "", "v"), "error", "red\x1b[31m\nand \xff")
		escape.Key = nil
		w.send(withHeader(failed, "failed-at", "2026-01-15T10:00:00Z"), withHeader(escape, "failed-at", "2026-01-15T11:00:00Z"),
			withHeader(w.deadLetter(1, "k", "v"), "consumer-group", w.group("others")),
			&kgo.Record{Topic: w.dlq, Value: []byte("no letter")})
		if said := w.run("replay", "0:0"); said.status != 0 {
			w.Fatal(said)
		}
		group := w.group("readers")
		listed := w.run("list")
		want := []string{
			"PLACE FAILED AT GROUP TYPE KEY ATTEMPTS REPLAYS REPLAYED ORIGINAL ERROR",
			"0:0 2026-01-15T10:00:00Z " + group + " made k 1 2 1 " + w.topic + " 0:17 broken: v",
			"0:1 2026-01-15T11:00:00Z " + group + ` - - 1 0 0 ` + w.topic + ` 0:18 red\x1b[31m\nand \xff`,
		}
		var got []string
		for line := range strings.Lines(listed.stdout) {
			got = append(got, strings.Join(strings.Fields(line), " "))
		}
		if diff := cmp.Diff(want, got); listed.status != 0 || diff != "" {
			w.Errorf("%+v (-want +got):\n%s", listed, diff)
		}
		if want := "2 dead letters of group " + group + ", 1 already replayed\n"; listed.notes != want {
			w.Errorf("notes: %q", listed.notes)
		}
		asJSON := w.run("list", "--output", "json", "--type", "made")
		var row map[string]any
		if err := json.Unmarshal([]byte(asJSON.stdout), &row); err != nil {
			w.Fatal(asJSON, err)
		}
		wantRow := map[string]any{"place": "0:0", "failed_at": "2026-01-15T10:00:00Z", "group": group, "type": "made", "key": "k",
			"attempts": "1", "original_topic": w.topic, "original_place": "0:17", "error": "broken: v", "replays": 2.0, "replayed": 1.0}
		if diff := cmp.Diff(wantRow, row); diff != "" {
			w.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	w := newInProcessEnv(t)
	w.send(
		withHeader(w.deadLetter(0, "a", "v", header("kind", "made")), "failed-at", "2026-01-15T10:00:00Z"),
		withHeader(withHeader(w.deadLetter(1, "b\xff", "v"), "failed-at", "2026-01-15T11:00:00Z"), "error", "time is out"),
		withHeader(w.deadLetter(2, "c", "v"), "failed-at", time.Now().Add(-30*time.Minute).UTC().Format(time.RFC3339)),
		withHeader(w.deadLetter(3, "d", "v"), "failed-at", "when?"),
		withHeader(w.deadLetter(4, "e", "v"), "consumer-group", w.group("others")),
	)
	for args, want := range map[string]string{
		"":                                  "0:0 0:1 0:2 0:3",
		"--type made":                       "0:0",
		"--error time":                      "0:1",
		"--key a":                           "0:0",
		`--key b\xff`:                       "0:1",
		"--key b\xff":                       "0:1",
		"--since 1h":                        "0:2",
		"--until 1h":                        "0:0 0:1",
		"--since 2026-01-15T10:00:01Z":      "0:1 0:2",
		"--until 2026-01-15T11:00:00+01:00": "0:0",
		"--since 2026-01-15T11:00:00Z --until 2026-01-15T11:00:00Z": "0:1",
		"--group " + w.group("others"):                              "0:4",
		"--key a --error time":                                      "",
	} {
		said := w.run(append([]string{"list"}, strings.Fields(args)...)...)
		var got []string
		for line := range strings.Lines(said.stdout) {
			if place := strings.Fields(line)[0]; place != "PLACE" {
				got = append(got, place)
			}
		}
		if strings.Join(got, " ") != want || said.status != 0 {
			t.Errorf("%s: got %q, want %q; %+v", args, got, want, said)
		}
	}
	if said := w.run("list", "--key", "none"); said.notes != "none of the 4 dead letters of group "+w.group("readers")+" match\n" || said.stdout != "" {
		t.Errorf("none: %+v", said)
	}
}

func TestAListOfNothingSaysSo(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(w env) {
		w.send(withHeader(w.deadLetter(4, "e", "v"), "consumer-group", w.group("others")))
		if said := w.run("list"); said.status != 0 || said.stdout != "" || said.notes != "no dead letters of group "+w.group("readers")+" (1 of others)\n" {
			w.Errorf("%+v", said)
		}
		if said := w.run("replay", "--all"); said.status != 0 || said.stdout != "nothing to replay: no dead letters of group "+w.group("readers")+" (1 of others)\n" {
			w.Errorf("%+v", said)
		}
	})
}

func TestShowShowsAll(t *testing.T) {
	t.Parallel()
	w := newInProcessEnv(t)
	laidOut := w.deadLetter(17, "k", `{"a":[1,"\u001b"],"b":"`+"\u009b"+`"}`, header("kind", "made"), header("error", "mine"), header("replays", "1"))
	null := w.deadLetter(2, "k", "")
	null.Key, null.Value = nil, nil
	w.send(withHeader(withHeader(laidOut, "failed-at", "2026-01-15T10:00:00Z"), "error", "broken"), null,
		w.deadLetter(3, "k", "some \"text\"\n"), w.deadLetter(4, "k", "\xff\x00"), w.deadLetter(5, "k", ""), &kgo.Record{Topic: w.dlq, Value: []byte("1")},
		&kgo.Record{Topic: w.dlq, Partition: 1, Value: []byte("another")})
	first := w.run("show", "0:0")
	var got []string
	for line := range strings.Lines(first.stdout) {
		if got = append(got, strings.Join(strings.Fields(line), " ")); len(got) == 2 {
			got[1] = "written at"
		}
	}
	want := []string{
		"place 0:0", "written at", "failed at 2026-01-15T10:00:00Z", "group " + w.group("readers"), "error broken",
		"attempts 1", "original topic " + w.topic, "original place 0:17", "replays 1 before it failed", "key k",
		"header kind made", "header error mine", "header replays 1",
		"value (27 bytes)", "{", `"a": [`, "1,", `"\u001b"`, "],", `"b": "\u009b"`, "}",
	}
	if diff := cmp.Diff(want, got); first.status != 0 || diff != "" {
		t.Errorf("%+v (-want +got):\n%s", first, diff)
	}
	for place, want := range map[string]string{
		"0:1": "value (0 bytes)\nnull\n",
		"0:2": "value (12 bytes)\n\"some \\\"text\\\"\\n\"\n",
		"0:3": "value (2 bytes)\n00000000  ff 00                                             |..|\n",
		"0:4": "value (0 bytes)\nempty\n",
		"0:5": "value (1 byte)\n1\n",
	} {
		if said := w.run("show", place); said.status != 0 || !strings.HasSuffix(said.stdout, want) {
			t.Errorf("%s: %+v", place, said)
		}
	}
	if said := w.run("show", "0:5"); said.notes != "this is no dead letter: it does not say which group it is of\n" {
		t.Errorf("%+v", said)
	}
}
