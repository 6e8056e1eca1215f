package testenv_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/todo/platform/testenv"
)

type settings struct {
	Timeout time.Duration
	Net     struct {
		Dial func()
		Max  int
	}
	hidden int
}

func TestCheckSettingsReportsEachChangedLine(t *testing.T) {
	t.Parallel()
	golden := filepath.Join(t.TempDir(), "settings.txt")
	if err := os.WriteFile(golden, []byte("Timeout = 3s\nNet.Dial = unset\nNet.Max = 5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &settings{Timeout: 3 * time.Second, hidden: 1}
	s.Net.Max = 5
	testenv.CheckSettings(t, golden, s)

	s.Net.Max, s.Net.Dial = 6, func() {}
	failed := &recorder{TB: t}
	testenv.CheckSettings(failed, golden, s)
	got := strings.Join(failed.errors, "\n")
	for _, want := range []string{`"Net.Dial = unset"`, `"Net.Max = 5"`, `"Net.Dial = set"`, `"Net.Max = 6"`} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not reported:\n%s", want, got)
		}
	}
}
