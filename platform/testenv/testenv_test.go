package testenv_test

import (
	"fmt"
	"testing"

	"example.com/todo/platform/testenv"
)

// recorder is a testing.TB that records its errors and its end.
type recorder struct {
	testing.TB
	ended  string
	errors []string
}

func (r *recorder) Helper() {}
func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}
func (r *recorder) Skipf(format string, args ...any) {
	r.ended = "skipped: " + fmt.Sprintf(format, args...)
}
func (r *recorder) Fatalf(format string, args ...any) {
	r.ended = "failed: " + fmt.Sprintf(format, args...)
}

func TestRequireEnvSkipsOrFailsUnderCI(t *testing.T) {
	tests := map[string]struct{ value, ci, want string }{
		"set":         {"somewhere", "true", ""},
		"unset":       {"", "", "skipped: TESTENV_X is not set: start the servers with scripts/devstack to run this test"},
		"unset in CI": {"", "true", "failed: TESTENV_X is not set, and under CI=true a skipped test is a failure"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TESTENV_X", test.value)
			t.Setenv("CI", test.ci)
			r := &recorder{TB: t}
			if got := testenv.RequireEnv(r, "TESTENV_X"); got != test.value || r.ended != test.want {
				t.Errorf("got %q, ended %q; want ended %q", got, r.ended, test.want)
			}
		})
	}
}
