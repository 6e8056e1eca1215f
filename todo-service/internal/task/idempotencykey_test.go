package task_test

import (
	"strings"
	"testing"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

func TestParseIdempotencyKeyAcceptsQuotedAndBareKeys(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("k", 255)
	for value, want := range map[string]string{
		"8e03978e-40d5-43dd-bc93-6894a57f9324":   "8e03978e-40d5-43dd-bc93-6894a57f9324",
		`"8e03978e-40d5-43dd-bc93-6894a57f9324"`: "8e03978e-40d5-43dd-bc93-6894a57f9324",
		"k":                                      "k",
		`!#$%&'()*+,-./:;~`:                      `!#$%&'()*+,-./:;~`,
		`a"b\c`:                                  `a"b\c`,
		`"a\"b\\c"`:                              `a"b\c`,
		longest:                                  longest,
		`"` + longest + `"`:                      longest,
	} {
		if got, err := task.ParseIdempotencyKey([]string{value}); err != nil || got.String() != want {
			t.Errorf("%s: got %q, error %v", value, got, err)
		}
	}
	if got, err := task.ParseIdempotencyKey(nil); err != nil || got != (task.IdempotencyKey{}) {
		t.Errorf("no value: got %q, error %v", got, err)
	}
}

func TestParseIdempotencyKeyRefusesMalformedKeys(t *testing.T) {
	t.Parallel()
	for _, values := range [][]string{
		{""}, {`""`}, {`"`}, {`"a`}, {`"a"b`}, {`"a";p=1`}, {`"a", "b"`}, {`"a\"`}, {`"a\b"`}, {`"a\`},
		{"a b"}, {`"a b"`}, {" "}, {"a\tb"}, {"a\x00"}, {"a\x7f"}, {"é"}, {"a\xff"}, {`"é"`},
		{strings.Repeat("k", 256)}, {`"` + strings.Repeat("k", 256) + `"`},
		{"a", "a"}, {"a", ""},
	} {
		got, err := task.ParseIdempotencyKey(values)
		refusal := apperr.Of(err)
		if err == nil || refusal.Kind != apperr.Invalid || len(refusal.Fields) != 1 || refusal.Fields[0].Name != "Idempotency-Key" || got != (task.IdempotencyKey{}) {
			t.Errorf("%q: got %q, error %v", values, got, err)
		}
	}
}
