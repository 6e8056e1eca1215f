package kafka

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// A mark is kept where others can write. Whatever it says, a claim goes on: the
// handler is given at least one of the records, and no other ones.
func FuzzMark(f *testing.F) {
	f.Add(`{"holder":"a","step":1,"in_hand":{"from":3,"to":4},"suspects":{"from":3,"to":9},"deaths":{"3":4},"failing":3,"attempts":2,"panics":1}`, int64(3))
	f.Add(`{"in_hand":{"from":9223372036854775807,"to":-9223372036854775808},"deaths":null}`, int64(-1))
	f.Add(`[]`, int64(0))
	f.Fuzz(func(t *testing.T, text string, position int64) {
		var found State
		if json.Unmarshal([]byte(text), &found) != nil {
			found = State{}
		}
		m := found.takenOver("b", position)
		rest := []Record{{Offset: position}, {Offset: position + 1}, {Offset: position + 5}}
		next := m.NextChunk(rest)
		if len(next) == 0 || len(next) > len(rest) || next[0].Offset != position {
			t.Errorf("%d of the records are next", len(next))
		}
		m.Isolate(next)
		m.RecordFailure(next[0], errors.New("again"))
		m.ForgetBelow(position + 1)
		if _, err := json.Marshal(m); err != nil {
			t.Error(err)
		}
	})
}

// A dead letter keeps what it was made of, and stays small, whatever the error.
func FuzzDeadLetter(f *testing.F) {
	f.Add("event: not a JSON object", "replay-group", "readers", []byte("value"))
	f.Add(strings.Repeat("ü", maxErrorBytes)+"\xff", "error", "\xff", []byte(nil))
	f.Fuzz(func(t *testing.T, cause, name, text string, value []byte) {
		record := Record{Topic: "things", Offset: 7, Value: value, Headers: []Header{{name, text}}}
		letter := newDeadLetter(GroupConfig{Group: "readers", DLQ: "dead"}, record, 1, errors.New(cause), time.Now())
		told := letter.Header(headerError)
		if len(told) > maxErrorBytes || !utf8.ValidString(told) {
			t.Errorf("the header error has %d bytes: %q", len(told), told)
		}
		if letter.Headers[0] != record.Headers[0] || letter.Fingerprint() != record.Fingerprint() {
			t.Error("the original is not in it as it was")
		}
	})
}
