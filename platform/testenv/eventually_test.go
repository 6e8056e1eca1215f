package testenv_test

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"example.com/todo/platform/testenv"
)

// fatal is a recorder whose Fatalf ends the goroutine.
type fatal struct{ *recorder }

func (f fatal) Fatalf(format string, args ...any) {
	f.ended = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestEventuallyWaits40Seconds(t *testing.T) {
	t.Parallel()
	for want, after := range map[string]time.Duration{"": 39 * time.Second, "it holds: not within 40s": time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			f := fatal{&recorder{TB: t}}
			start := time.Now()
			done := make(chan struct{})
			go func() {
				defer close(done)
				testenv.Eventually(f, "it holds", func() bool { return time.Since(start) >= after })
			}()
			<-done
			if f.ended != want {
				t.Errorf("true after %v: ended %q, want %q", after, f.ended, want)
			}
		})
	}
}
