package metrics_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"example.com/todo/platform/metrics"
)

func TestRegistryReportsRuntimeProcessBuildAndService(t *testing.T) {
	t.Parallel()
	reg := metrics.New("some-service")
	for _, name := range []string{"go_goroutines", "go_build_info", "process_resident_memory_bytes"} {
		if n, err := testutil.GatherAndCount(reg, name); err != nil || n == 0 {
			t.Errorf("%s: %d series, %v", name, n, err)
		}
	}
	want := "# HELP service_info Always 1; the label names the service.\n# TYPE service_info gauge\nservice_info{service=\"some-service\"} 1\n"
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "service_info"); err != nil {
		t.Error(err)
	}
}

func TestRegistriesAreIndependent(t *testing.T) {
	t.Parallel()
	metrics.New("one")
	metrics.New("one")
}
