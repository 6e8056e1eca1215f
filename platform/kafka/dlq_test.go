package kafka

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAnErrorHeaderIsShortAndValid(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"short":            {"broken", "broken"},
		"invalid":          {"a\xffb", "a\uFFFDb"},
		"long":             {strings.Repeat("x", 2000), strings.Repeat("x", 1024)},
		"cut in a letter":  {"x" + strings.Repeat("é", 600), "x" + strings.Repeat("é", 511)},
		"invalid and long": {strings.Repeat("\xff.", 2000), strings.Repeat("\uFFFD.", 256)},
	} {
		got := truncateUTF8(test.text, maxErrorBytes)
		if got != test.want || !utf8.ValidString(got) || len(got) > maxErrorBytes {
			t.Errorf("%s: got %d bytes, %.20q", name, len(got), got)
		}
	}
}
