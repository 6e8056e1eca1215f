package app

import (
	"context"
	"fmt"
	"os"
	"testing"
)

// asService makes the test's own program the service, which can then be killed.
const asService = "TEST_AS_SERVICE"

func TestMain(m *testing.M) {
	if os.Getenv(asService) == "" {
		os.Exit(m.Run())
	}
	cfg, err := Load("", os.Environ())
	if err == nil {
		err = Run(context.Background(), cfg)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
