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

// eventRecorder notes what happens, and when.
type eventRecorder struct {
	mu     sync.Mutex
	start  time.Time
	events []string
}

func (j *eventRecorder) record(event string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, time.Since(j.start).String()+" "+event)
}

// part runs until told to stop, then works for a while.
func (j *eventRecorder) part(name string, work time.Duration) lifecycle.Func {
	return func(ctx context.Context) error {
		<-ctx.Done()
		j.record(name + " told")
		<-time.After(work)
		j.record(name + " returned")
		return nil
	}
}

func TestStagesStopInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := &eventRecorder{start: time.Now()}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := lifecycle.Run(ctx,
			lifecycle.Stage{j.part("drain", 2*time.Second)},
			lifecycle.Stage{},
			lifecycle.Stage{j.part("http", 3*time.Second), j.part("grpc", 5*time.Second)},
			lifecycle.Stage{j.part("relay", time.Second)},
		)
		if err != nil {
			t.Error(err)
		}
		want := []string{
			"1m0s drain told", "1m2s drain returned",
			"1m2s http told", "1m2s grpc told", "1m5s http returned", "1m7s grpc returned",
			"1m7s relay told", "1m8s relay returned",
		}
		got := j.events
		if got[2] > got[3] { // the two are told at the same moment, in any order
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
		"with an error":    {func(context.Context) error { return broken }, broken},
		"without an error": {func(context.Context) error { return nil }, nil},
		"with Canceled, though nobody told it to stop": {func(context.Context) error { return context.Canceled }, context.Canceled},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				j := &eventRecorder{start: time.Now()}
				err := lifecycle.Run(t.Context(),
					lifecycle.Stage{j.part("first", 0)},
					lifecycle.Stage{test.part, j.part("second", 0)},
				)
				if !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
					t.Errorf("got %v, want %v", err, test.want)
				}
				want := []string{"0s first told", "0s first returned", "0s second told", "0s second returned"}
				if diff := cmp.Diff(want, j.events); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestPanicOfAPartIsAnErrorAndStopsTheOthersInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := &eventRecorder{start: time.Now()}
		err := lifecycle.Run(t.Context(), lifecycle.Stage{
			lifecycle.Func(func(context.Context) error { panic("lost my way") }),
			j.part("other", time.Second),
		})
		var panicked interface{ Stack() []byte }
		if !errors.As(err, &panicked) || err.Error() != "panic in lifecycle.Func: lost my way" || !bytes.Contains(panicked.Stack(), []byte("lifecycle_test.go")) {
			t.Errorf("want the panic and its stack, got %v", err)
		}
		if diff := cmp.Diff([]string{"0s other told", "1s other returned"}, j.events); diff != "" {
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
			t.Errorf("being told to stop is no failure: %v", err)
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
