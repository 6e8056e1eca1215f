package coalesce_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"example.com/todo/todo-service/internal/coalesce"
)

// Calls that arrive while a batch runs share the next one.
func ExampleBatcher() {
	started, release := make(chan struct{}), make(chan struct{})
	b := coalesce.Batcher[string, string]{
		MaxInFlight: 1,
		Run: func(_ context.Context, batch []coalesce.Entry[string]) ([]string, error) {
			started <- struct{}{}
			<-release
			fmt.Println(len(batch), "keys in one round trip")
			upper := make([]string, len(batch))
			for i, e := range batch {
				upper[i] = strings.ToUpper(e.Key)
			}
			return upper, nil
		},
	}
	var calls sync.WaitGroup
	calls.Go(func() { _, _ = b.Do(context.Background(), "first") })
	<-started
	b1, b2 := b.Add(context.Background(), "a"), b.Add(context.Background(), "b")
	release <- struct{}{}
	<-started
	release <- struct{}{}
	calls.Wait()
	for _, ticket := range []coalesce.Ticket[string, string]{b1, b2} {
		fmt.Println(ticket.Wait(context.Background()))
	}
	// Output:
	// 1 keys in one round trip
	// 2 keys in one round trip
	// A <nil>
	// B <nil>
}

// A result is shared for as long as it is fresh.
func ExampleFlights() {
	counts := coalesce.Flights[string, int]{FreshFor: time.Hour, Timeout: time.Second}
	for range 2 {
		n, err := counts.Do(context.Background(), "open", func(context.Context) (int, error) {
			fmt.Println("counting")
			return 7, nil
		})
		fmt.Println(n, err)
	}
	// Output:
	// counting
	// 7 <nil>
	// 7 <nil>
}
