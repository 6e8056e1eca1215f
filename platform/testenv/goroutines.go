package testenv

import (
	"testing"

	"go.uber.org/goleak"
)

// Main runs a package's tests and exits the process. It fails if goroutines of the tests still run some 4 s after
// the last test.
func Main(m *testing.M) { goleak.VerifyTestMain(leakRetryingM{m}) }

// leakRetryingM delays goleak's check until the goroutines have ended.
type leakRetryingM struct{ *testing.M }

func (m leakRetryingM) Run() int {
	code := m.M.Run()
	// goleak waits for less than 0.5 s. go-redis's probe of a dead server sleeps for 1 s, also after its pool is
	// closed.
	for range 9 {
		if code != 0 || goleak.Find() == nil {
			break
		}
	}
	return code
}
