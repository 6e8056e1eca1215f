package logging_test

import (
	"regexp"
	"testing"

	"example.com/todo/platform/logging"
)

func FuzzAcceptRequestID(f *testing.F) {
	for _, id := range []string{"web-7f3a", "", "a b", "\r\nSet-Cookie: x", "\xff", "é"} {
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
