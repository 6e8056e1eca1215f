package testenv

import (
	"testing"

	"go.uber.org/goleak"
)

// Main runs a package's tests and ends the process. It fails when goroutines of
// theirs still run some 4 s after the last test.
func Main(m *testing.M) { goleak.VerifyTestMain(leakRetryingM{m}) }

type leakRetryingM struct{ *testing.M }

func (p leakRetryingM) Run() int {
	code := p.M.Run()
	// goleak waits less than half a second. The probe that go-redis sends to a dead
	// server sleeps for a second, also when its pool is closed meanwhile.
	for range 9 {
		if code != 0 || goleak.Find() == nil {
			break
		}
	}
	return code
}
