package deadletter_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestListShowsCauseTimeAndReplays(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(e env) {
		failed := e.deadLetter(17, "k", "v", header("kind", "made"), header("replays", "2"))
		escape := withHeader(e.deadLetter(18, "", "v"), "error", "red\x1b[31m\nand \xff")
		escape.Key = nil
		e.send(withHeader(failed, "failed-at", "2026-01-15T10:00:00Z"), withHeader(escape, "failed-at", "2026-01-15T11:00:00Z"),
			withHeader(e.deadLetter(1, "k", "v"), "consumer-group", e.Group("others")),
			&kgo.Record{Topic: e.DLQ, Value: []byte("no dead letter")})
		if got := e.run("replay", "0:0"); got.status != 0 {
			e.Fatal(got)
		}
		group := e.Group("readers")
		listed := e.run("list")
		want := []string{
			"PLACE FAILED AT GROUP TYPE KEY ATTEMPTS REPLAYS REPLAYED ORIGINAL ERROR",
			"0:0 2026-01-15T10:00:00Z " + group + " made k 1 2 1 " + e.Topic + " 0:17 broken: v",
			"0:1 2026-01-15T11:00:00Z " + group + ` - - 1 0 0 ` + e.Topic + ` 0:18 red\x1b[31m\nand \xff`,
		}
		var got []string
		for line := range strings.Lines(listed.stdout) {
			got = append(got, strings.Join(strings.Fields(line), " "))
		}
		if diff := cmp.Diff(want, got); listed.status != 0 || diff != "" {
			e.Errorf("%+v (-want +got):\n%s", listed, diff)
		}
		if want := "2 dead letters of group " + group + ", 1 already replayed\n"; listed.stderr != want {
			e.Errorf("stderr: %q", listed.stderr)
		}
		asJSON := e.run("list", "--output", "json", "--type", "made")
		var row map[string]any
		if err := json.Unmarshal([]byte(asJSON.stdout), &row); err != nil {
			e.Fatal(asJSON, err)
		}
		wantRow := map[string]any{"place": "0:0", "failed_at": "2026-01-15T10:00:00Z", "group": group, "type": "made", "key": "k",
			"attempts": "1", "original_topic": e.Topic, "original_place": "0:17", "error": "broken: v", "replays": 2.0, "replayed": 1.0}
		if diff := cmp.Diff(wantRow, row); diff != "" {
			e.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	e := newInProcessEnv(t)
	e.send(
		withHeader(e.deadLetter(0, "a", "v", header("kind", "made")), "failed-at", "2026-01-15T10:00:00Z"),
		withHeader(withHeader(e.deadLetter(1, "b\xff", "v"), "failed-at", "2026-01-15T11:00:00Z"), "error", "time is out"),
		withHeader(e.deadLetter(2, "c", "v"), "failed-at", time.Now().Add(-30*time.Minute).UTC().Format(time.RFC3339)),
		withHeader(e.deadLetter(3, "d", "v"), "failed-at", "when?"),
		withHeader(e.deadLetter(4, "e", "v"), "consumer-group", e.Group("others")),
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
		"--group " + e.Group("others"):                              "0:4",
		"--key a --error time":                                      "",
	} {
		got := e.run(append([]string{"list"}, strings.Fields(args)...)...)
		var places []string
		for line := range strings.Lines(got.stdout) {
			if place := strings.Fields(line)[0]; place != "PLACE" {
				places = append(places, place)
			}
		}
		if strings.Join(places, " ") != want || got.status != 0 {
			t.Errorf("%s: got %q, want %q; %+v", args, places, want, got)
		}
	}
	if got := e.run("list", "--key", "none"); got.stderr != "none of the 4 dead letters of group "+e.Group("readers")+" match\n" || got.stdout != "" {
		t.Errorf("none: %+v", got)
	}
}

func TestListAndReplaySayThatThereAreNoDeadLetters(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(e env) {
		e.send(withHeader(e.deadLetter(4, "e", "v"), "consumer-group", e.Group("others")))
		if got := e.run("list"); got.status != 0 || got.stdout != "" || got.stderr != "no dead letters of group "+e.Group("readers")+" (1 of others)\n" {
			e.Errorf("%+v", got)
		}
		if got := e.run("replay", "--all"); got.status != 0 || got.stdout != "nothing to replay: no dead letters of group "+e.Group("readers")+" (1 of others)\n" {
			e.Errorf("%+v", got)
		}
	})
}

func TestShowPrintsTheDeadLetterInFull(t *testing.T) {
	t.Parallel()
	e := newInProcessEnv(t)
	asJSON := e.deadLetter(17, "k", `{"a":[1,"\u001b"],"b":"`+"\u009b"+`"}`, header("kind", "made"), header("error", "mine"), header("replays", "1"))
	null := e.deadLetter(2, "k", "")
	null.Key, null.Value = nil, nil
	e.send(withHeader(withHeader(asJSON, "failed-at", "2026-01-15T10:00:00Z"), "error", "broken"), null,
		e.deadLetter(3, "k", "some \"text\"\n"), e.deadLetter(4, "k", "\xff\x00"), e.deadLetter(5, "k", ""), &kgo.Record{Topic: e.DLQ, Value: []byte("1")},
		&kgo.Record{Topic: e.DLQ, Partition: 1, Value: []byte("another")})
	first := e.run("show", "0:0")
	var got []string
	for line := range strings.Lines(first.stdout) {
		if got = append(got, strings.Join(strings.Fields(line), " ")); len(got) == 2 {
			got[1] = "written at"
		}
	}
	want := []string{
		"place 0:0", "written at", "failed at 2026-01-15T10:00:00Z", "group " + e.Group("readers"), "error broken",
		"attempts 1", "original topic " + e.Topic, "original place 0:17", "replays 1 before it failed", "key k",
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
		if got := e.run("show", place); got.status != 0 || !strings.HasSuffix(got.stdout, want) {
			t.Errorf("%s: %+v", place, got)
		}
	}
	if got := e.run("show", "0:5"); got.stderr != "this is no dead letter: it names no consumer group\n" {
		t.Errorf("%+v", got)
	}
}
