package deadletter

import (
	"slices"
	"testing"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/printable"
)

// Any program can write to the dead-letter topic. Every record can be printed without control characters,
// and replayed byte for byte.
func FuzzDeadLetter(f *testing.F) {
	f.Add("original-topic", "things", []byte(`{"a":1}`))
	f.Add("failed-at", "2026-01-15T10:00:00Z", []byte("\x1b[2J"))
	f.Add("replays", "-9223372036854775808", []byte(nil))
	f.Add("replay-of", "\xff", []byte("\xff\x00"))
	f.Fuzz(func(t *testing.T, name, text string, value []byte) {
		own := kafka.Header{Key: "own", Value: text}
		l := parseDeadLetter(kafka.Record{Partition: 1, Offset: 7, Value: value, Headers: []kafka.Header{own, {Key: name, Value: text}}})
		if l.priorReplays < 0 || l.group != "" && l.topic == "" {
			t.Errorf("parsed as %+v", l)
		}
		if again := l.replayRecord(); !slices.Contains(again.Headers, own) || again.Fingerprint() != l.record.Fingerprint() {
			t.Errorf("%+v is replayed as %+v", l.record, again)
		}
		if shown := formatValue(value); printable.Lines(shown) != shown {
			t.Errorf("shown as %q", shown)
		}
	})
}

func FuzzPosition(f *testing.F) {
	f.Add("0:17")
	f.Add("99999999999:-1:")
	f.Fuzz(func(t *testing.T, text string) {
		at, err := parsePosition(text)
		if err != nil {
			return
		}
		if again, err := parsePosition(at.String()); err != nil || again != at || at.partition < 0 || at.offset < 0 {
			t.Errorf("%q is %v, which is %v, %v", text, at, again, err)
		}
	})
}
