package promcollector_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"example.com/todo/stats-service/internal/promcollector"
	"example.com/todo/stats-service/internal/stats"
)

// reporterFunc is a Reporter.
type reporterFunc func(ctx context.Context, days int) (stats.Report, error)

func (f reporterFunc) Report(ctx context.Context, days int) (stats.Report, error) {
	return f(ctx, days)
}

func TestGaugeIsTheReportOfToday(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(promcollector.NewCompletedToday(reporterFunc(func(_ context.Context, days int) (stats.Report, error) {
		return stats.Report{CompletedTotal: 42, CompletedToday: int64(2 + days), Complete: true}, nil
	})))
	want := `# HELP stats_completed_today_tasks Tasks completed on the current UTC day, as GET /stats serves them; absent while Redis does not answer.
# TYPE stats_completed_today_tasks gauge
stats_completed_today_tasks 3
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func TestGaugeIsAbsentWhileTheStoreFails(t *testing.T) {
	t.Parallel()
	var down error
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(promcollector.NewCompletedToday(reporterFunc(func(context.Context, int) (stats.Report, error) {
		return stats.Report{CompletedToday: 7}, down
	})))
	for _, step := range []struct {
		err  error
		want int
	}{{nil, 1}, {errors.New("redis is down"), 0}, {nil, 1}} {
		down = step.err
		if n, err := testutil.GatherAndCount(reg); err != nil || n != step.want {
			t.Errorf("store error %v: %d series, %v; want %d", step.err, n, err, step.want)
		}
	}
}

func TestGaugeEndsAScrapeOfAFrozenStoreAfterHalfASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewPedanticRegistry()
		reg.MustRegister(promcollector.NewCompletedToday(reporterFunc(func(ctx context.Context, _ int) (stats.Report, error) {
			<-ctx.Done()
			return stats.Report{}, ctx.Err()
		})))
		start := time.Now()
		if n, err := testutil.GatherAndCount(reg); err != nil || n != 0 {
			t.Errorf("%d series, %v; want none", n, err)
		}
		if took := time.Since(start); took != 500*time.Millisecond {
			t.Errorf("the scrape took %v, want 500ms", took)
		}
	})
}
