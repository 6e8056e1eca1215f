package testenv

import (
	"testing"

	"go.uber.org/goleak"
)

// Main runs a package's tests and ends the process. It fails when goroutines of
// theirs still run some 25 s after the last test.
func Main(m *testing.M) { goleak.VerifyTestMain(patient{m}) }

type patient struct{ *testing.M }

func (p patient) Run() int {
	code := p.M.Run()
	// goleak waits less than half a second. The probe that go-redis sends to a dead
	// server sleeps for a second, also when its pool is closed meanwhile, and Sarama
	// ends the decoding of a response before it notices that its broker was closed.
	for range 60 {
		if code != 0 || goleak.Find() == nil {
			break
		}
	}
	return code
}
