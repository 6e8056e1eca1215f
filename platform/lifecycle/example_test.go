package lifecycle_test

import (
	"context"
	"fmt"

	"example.com/todo/platform/lifecycle"
)

func ExampleRun() {
	ctx, stop := context.WithCancel(context.Background()) // in a service: process.Context
	part := func(name string) lifecycle.Part {
		return lifecycle.Func(func(ctx context.Context) error {
			<-ctx.Done()
			fmt.Println("stopped:", name)
			return nil
		})
	}
	stop()
	err := lifecycle.Run(ctx,
		lifecycle.Stage{part("readiness")},
		lifecycle.Stage{part("HTTP server")},
		lifecycle.Stage{part("relay")},
	)
	fmt.Println("error:", err)
	// Output:
	// stopped: readiness
	// stopped: HTTP server
	// stopped: relay
	// error: <nil>
}
