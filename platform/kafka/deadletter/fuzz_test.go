package deadletter

import (
	"slices"
	"testing"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/printable"
)

// The topic of dead letters takes what anybody writes. Whatever it is, it can be
// shown on a terminal without acting on it, and replayed as it was.
func FuzzLetter(f *testing.F) {
	f.Add("original-topic", "things", []byte(`{"a":1}`))
	f.Add("failed-at", "2026-01-15T10:00:00Z", []byte("\x1b[2J"))
	f.Add("replays", "-9223372036854775808", []byte(nil))
	f.Add("replay-of", "\xff", []byte("\xff\x00"))
	f.Fuzz(func(t *testing.T, name, text string, value []byte) {
		own := kafka.Header{Key: "own", Value: text}
		l := read(kafka.Record{Partition: 1, Offset: 7, Value: value, Headers: []kafka.Header{own, {Key: name, Value: text}}})
		if l.replays < 0 || l.group != "" && l.topic == "" {
			t.Errorf("read as %+v", l)
		}
		if again := l.replay(); !slices.Contains(again.Headers, own) || again.Fingerprint() != l.record.Fingerprint() {
			t.Errorf("%+v is replayed as %+v", l.record, again)
		}
		if shown := contents(value); printable.EscapeLines(shown) != shown {
			t.Errorf("shown as %q", shown)
		}
	})
}

func FuzzPlace(f *testing.F) {
	f.Add("0:17")
	f.Add("99999999999:-1:")
	f.Fuzz(func(t *testing.T, text string) {
		at, err := parsePlace(text)
		if err != nil {
			return
		}
		if again, err := parsePlace(at.String()); err != nil || again != at || at.partition < 0 || at.offset < 0 {
			t.Errorf("%q is %v, which is %v, %v", text, at, again, err)
		}
	})
}
