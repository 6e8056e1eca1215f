package observability

import (
	"fmt"
	"os"
	"testing"

	"example.com/todo/scripts/internal/server"
)

// TestMain lets the test's own program be the embedded Kafka, as devstack is.
func TestMain(m *testing.M) {
	switch isBroker, err := server.RunIfBroker(); {
	case !isBroker:
		os.Exit(m.Run())
	case err != nil:
		fmt.Println(err)
	}
}
