package lifecycle_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/lifecycle"
	"example.com/todo/platform/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// eventRecorder records events with the time since start.
type eventRecorder struct {
	mu     sync.Mutex
	start  time.Time
	events []string
}

func (rec *eventRecorder) record(event string) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.events = append(rec.events, time.Since(rec.start).String()+" "+event)
}

// part returns a part that runs until it is stopped and then takes work to return.
func (rec *eventRecorder) part(name string, work time.Duration) lifecycle.Func {
	return func(ctx context.Context) error {
		<-ctx.Done()
		rec.record(name + " stopped")
		<-time.After(work)
		rec.record(name + " returned")
		return nil
	}
}

func TestStagesStopInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rec := &eventRecorder{start: time.Now()}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := lifecycle.Run(ctx,
			lifecycle.Stage{rec.part("drain", 2*time.Second)},
			lifecycle.Stage{},
			lifecycle.Stage{rec.part("http", 3*time.Second), rec.part("grpc", 5*time.Second)},
			lifecycle.Stage{rec.part("relay", time.Second)},
		)
		if err != nil {
			t.Error(err)
		}
		want := []string{
			"1m0s drain stopped", "1m2s drain returned",
			"1m2s http stopped", "1m2s grpc stopped", "1m5s http returned", "1m7s grpc returned",
			"1m7s relay stopped", "1m8s relay returned",
		}
		got := rec.events
		if got[2] > got[3] { // both are stopped at the same time, in any order
			want[2], want[3] = want[3], want[2]
		}
		if got[2] != want[2] {
			got[2], got[3] = got[3], got[2]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestPartThatReturnsStopsTheOtherParts(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	tests := map[string]struct {
		part lifecycle.Func
		want error
	}{
		"with an error":                        {func(context.Context) error { return broken }, broken},
		"without an error":                     {func(context.Context) error { return nil }, nil},
		"with Canceled, before it was stopped": {func(context.Context) error { return context.Canceled }, context.Canceled},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				rec := &eventRecorder{start: time.Now()}
				err := lifecycle.Run(t.Context(),
					lifecycle.Stage{rec.part("first", 0)},
					lifecycle.Stage{test.part, rec.part("second", 0)},
				)
				if !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
					t.Errorf("got %v, want %v", err, test.want)
				}
				want := []string{"0s first stopped", "0s first returned", "0s second stopped", "0s second returned"}
				if diff := cmp.Diff(want, rec.events); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestPanicOfAPartIsAnErrorAndStopsTheOthersInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rec := &eventRecorder{start: time.Now()}
		err := lifecycle.Run(t.Context(), lifecycle.Stage{
			lifecycle.Func(func(context.Context) error { panic("unexpected state") }),
			rec.part("other", time.Second),
		})
		var panicked interface{ Stack() []byte }
		if !errors.As(err, &panicked) || err.Error() != "panic in lifecycle.Func: unexpected state" || !bytes.Contains(panicked.Stack(), []byte("lifecycle_test.go")) {
			t.Errorf("want the panic and its stack, got %v", err)
		}
		if diff := cmp.Diff([]string{"0s other stopped", "1s other returned"}, rec.events); diff != "" {
			t.Error(diff)
		}
	})
}

func TestErrorsOfAllPartsAreJoined(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		one, two := errors.New("one"), errors.New("two")
		fail := func(err error) lifecycle.Func {
			return func(ctx context.Context) error { <-ctx.Done(); return err }
		}
		err := lifecycle.Run(ctx, lifecycle.Stage{fail(one), fail(context.Canceled)}, lifecycle.Stage{fail(two)})
		if !errors.Is(err, one) || !errors.Is(err, two) {
			t.Errorf("got %v", err)
		}
		if errors.Is(err, context.Canceled) {
			t.Errorf("a stopped part has not failed: %v", err)
		}
	})
}

func TestPartsReceiveTheValuesOfTheContext(t *testing.T) {
	t.Parallel()
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "value")
	err := lifecycle.Run(ctx, lifecycle.Stage{lifecycle.Func(func(ctx context.Context) error {
		if ctx.Value(key{}) != "value" {
			return errors.New("the value is lost")
		}
		return nil
	})})
	if err != nil {
		t.Error(err)
	}
}
