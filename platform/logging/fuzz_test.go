package logging_test

import (
	"regexp"
	"strings"
	"testing"

	"example.com/todo/platform/logging"
)

func FuzzAcceptRequestID(f *testing.F) {
	for _, id := range []string{
		"a", "0190-abc_DEF.9", strings.Repeat("x", 64),
		"", strings.Repeat("x", 65), "a b", "\r\nSet-Cookie: x", `a"b`, "\xff", "é", "a;b", "<b>",
	} {
		f.Add(id)
	}
	safe := regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	f.Fuzz(func(t *testing.T, sent string) {
		id := logging.AcceptRequestID(sent)
		if !safe.MatchString(id) || safe.MatchString(sent) && id != sent {
			t.Errorf("%q became %q", sent, id)
		}
	})
}
