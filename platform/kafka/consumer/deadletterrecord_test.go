package consumer

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/headers"
)

func TestTruncateUTF8IsShortAndValid(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"short":                  {"broken", "broken"},
		"invalid":                {"a\xffb", "a\uFFFDb"},
		"long":                   {strings.Repeat("x", 2000), strings.Repeat("x", 1024)},
		"cut inside a character": {"x" + strings.Repeat("é", 600), "x" + strings.Repeat("é", 511)},
		"invalid and long":       {strings.Repeat("\xff.", 2000), strings.Repeat("\uFFFD.", 256)},
	} {
		got := truncateUTF8(test.text, maxErrorBytes)
		if got != test.want || !utf8.ValidString(got) || len(got) > maxErrorBytes {
			t.Errorf("%s: got %d bytes, %.20q", name, len(got), got)
		}
	}
}

// A dead letter keeps what it was made of, and stays small, whatever the error.
func FuzzDeadLetter(f *testing.F) {
	f.Add("event: not a JSON object", "replay-group", "readers", []byte("value"))
	f.Add(strings.Repeat("ü", maxErrorBytes)+"\xff", "error", "\xff", []byte(nil))
	f.Fuzz(func(t *testing.T, cause, name, text string, value []byte) {
		record := kafka.Record{Topic: "things", Offset: 7, Value: value, Headers: []kafka.Header{{Key: name, Value: text}}}
		letter := newDeadLetter(GroupConfig{Group: "readers", DLQ: "dead"}, record, false, 1, errors.New(cause))
		got := letter.Header(headers.Error)
		if len(got) > maxErrorBytes || !utf8.ValidString(got) {
			t.Errorf("the header error has %d bytes: %q", len(got), got)
		}
		if letter.Headers[0] != record.Headers[0] || letter.Fingerprint() != record.Fingerprint() {
			t.Error("the original is not in it as it was")
		}
	})
}
