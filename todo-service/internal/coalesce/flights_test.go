package coalesce

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// Without that, a result would be kept for each key that was ever used.
func TestFlightsForgetsResultsThatAreNoLongerFresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		flights := Flights[int, int]{FreshFor: time.Second, Timeout: time.Minute}
		for key := range 100 {
			_, _ = flights.Do(t.Context(), key, func(context.Context) (int, error) {
				if key%2 == 0 {
					return 0, errors.New("failed")
				}
				return key, nil
			})
		}
		// This one is no longer fresh when it ends, and the later one of its key is kept.
		slow := func(context.Context) (int, error) { <-time.After(1500 * time.Millisecond); return 0, nil }
		go func() { _, _ = flights.Do(t.Context(), -1, slow) }()
		<-time.After(1100 * time.Millisecond)
		go func() { _, _ = flights.Do(t.Context(), -1, slow) }()
		<-time.After(500 * time.Millisecond)
		synctest.Wait()
		if kept := len(flights.flights); kept != 1 || flights.flights[-1] == nil {
			t.Errorf("%d results are kept after 1.6 s", kept)
		}
		<-time.After(2 * time.Second)
		synctest.Wait()
		if kept := len(flights.flights); kept != 0 {
			t.Errorf("%d results are kept at last", kept)
		}
	})
}
