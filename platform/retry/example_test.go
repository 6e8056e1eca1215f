package retry_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"example.com/todo/platform/retry"
)

func ExampleDo() {
	outage := retry.NewOutage(slog.New(slog.DiscardHandler), "relay: Kafka is unavailable, retrying", "relay: Kafka is available again")
	attempts := 0
	err := retry.Do(context.Background(), retry.Backoff{Min: time.Millisecond, Max: time.Second}, outage, func(context.Context) error {
		attempts++
		if attempts < 3 {
			return errors.New("connection refused") // is retried
		}
		return retry.Permanent(errors.New("topic has no such partition")) // is returned
	})
	fmt.Println(attempts, "attempts:", err)
	// Output: 3 attempts: topic has no such partition
}
