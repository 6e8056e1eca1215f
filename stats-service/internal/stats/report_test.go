package stats_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/apperr"
	"example.com/todo/stats-service/internal/stats"
)

// store is a fake that answers and remembers.
type store struct {
	figures stats.Counters
	days    map[string]int64
	stored  int64
	origin  string
	moved   bool // between Begin and Restart
	applied []stats.Batch
	err     error
}

func (s *store) Resume(context.Context, int32, stats.LogRange) (stats.ResumePoint, error) {
	return stats.ResumePoint{Offset: s.stored, Incarnation: s.origin}, s.err
}

func (s *store) Reset(_ context.Context, _ int32, log stats.LogRange, stored int64, why stats.RecountReason) (stats.ResumePoint, error) {
	if s.moved {
		return stats.ResumePoint{Offset: stored + 1, Incarnation: s.origin}, s.err
	}
	return stats.ResumePoint{Offset: log.Oldest, Recount: why, Stored: stored}, s.err
}

func (s *store) Apply(_ context.Context, b stats.Batch) (stats.Tally, error) {
	s.applied = append(s.applied, b)
	return stats.Tally{Counted: len(b.Completions)}, s.err
}

func (s *store) Read(_ context.Context, days []string) (stats.Counters, error) {
	f := s.figures
	for _, day := range days {
		f.Days = append(f.Days, s.days[day])
	}
	return f, s.err
}

// ends is a fake log; nil is one whose ends are not known.
type ends map[int32]int64

func (e ends) Latest() (map[int32]int64, bool) { return e, e != nil }

func (e ends) Fetch(context.Context) (map[int32]int64, error) {
	if e == nil {
		return nil, errors.New("kafka is away")
	}
	return e, nil
}

func at(t *testing.T, s string) func() time.Time {
	t.Helper()
	now, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return func() time.Time { return now }
}

func TestTheReportInItsJSONForm(t *testing.T) {
	t.Parallel()
	s := &store{
		figures: stats.Counters{Total: 42, Offsets: map[int32]int64{0: 10, 1: 20}},
		days:    map[string]int64{"2024-01-15": 3, "2024-01-13": 4},
	}
	// Half past one at +01:00 is the 15th in UTC too, by half an hour.
	service := stats.NewService(s, ends{0: 11, 1: 25}, 2, at(t, "2024-01-15T01:30:00.123456789+01:00"))
	report, err := service.Report(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"completed_total":42,"completed_today":3,"by_day":[{"day":"2024-01-13","completed":4},{"day":"2024-01-14","completed":0},{"day":"2024-01-15","completed":3}],"as_of":"2024-01-15T00:30:00.123Z","lag":6,"complete":true,"rebuilding":false}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTodayIsTheUTCDay(t *testing.T) {
	t.Parallel()
	s := &store{days: map[string]int64{"2024-02-29": 1, "2024-03-01": 2}}
	tests := map[string]int64{
		"2024-02-29T23:59:59Z":      1,
		"2024-03-01T00:00:00Z":      2,
		"2024-03-01T00:30:00+01:00": 1,
		"2024-02-29T20:00:00-05:00": 2,
	}
	for now, want := range tests {
		report, err := stats.NewService(s, ends{}, 1, at(t, now)).Report(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if report.CompletedToday != want {
			t.Errorf("at %s: today %d, want %d", now, report.CompletedToday, want)
		}
	}
}

func TestDaysOutOfBoundsAreRefusedByName(t *testing.T) {
	t.Parallel()
	service := stats.NewService(&store{}, ends{}, 1, time.Now)
	for _, days := range []int{-1, 0, 367} {
		_, err := service.Report(t.Context(), days)
		refusal := apperr.Of(err)
		if refusal == nil || refusal.Kind != apperr.Invalid || len(refusal.Fields) != 1 || refusal.Fields[0].Name != "days" {
			t.Errorf("%d days: %v, want fault.Invalid naming days", days, err)
		}
	}
	for _, days := range []int{1, stats.DefaultDays, stats.MaxDays} {
		report, err := service.Report(t.Context(), days)
		if err != nil {
			t.Errorf("%d days: %v", days, err)
		}
		if len(report.ByDay) != days {
			t.Errorf("%d days asked for, %d given", days, len(report.ByDay))
		}
	}
}

func TestLagCountsEveryPartition(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		ends    ends
		offsets map[int32]int64
		want    any
	}{
		"none":                             {ends{0: 5, 1: 7}, map[int32]int64{0: 5, 1: 7}, int64(0)},
		"some":                             {ends{0: 5, 1: 7}, map[int32]int64{0: 2, 1: 6}, int64(4)},
		"a partition not counted yet":      {ends{0: 5, 1: 7}, map[int32]int64{0: 5}, int64(7)},
		"offsets newer than the ends":      {ends{0: 5, 1: 7}, map[int32]int64{0: 50, 1: 6}, int64(1)},
		"nobody knows where the log ends":  {nil, map[int32]int64{0: 5, 1: 7}, nil},
		"a partition that is not ours yet": {ends{0: 5, 1: 7, 2: 100}, map[int32]int64{0: 5, 1: 7}, int64(0)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &store{figures: stats.Counters{Offsets: test.offsets}}
			report, err := stats.NewService(s, test.ends, 2, time.Now).Report(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			var got any
			if report.Lag != nil {
				got = *report.Lag
			}
			if got != test.want {
				t.Errorf("lag %v, want %v", got, test.want)
			}
		})
	}
}

func TestTheReportIsCompleteWhenEveryRecountHasCaughtUp(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		offsets, targets map[int32]int64
		want             bool
	}{
		"nothing counted yet":             {nil, nil, false},
		"one partition not begun":         {map[int32]int64{0: 9}, map[int32]int64{0: 9}, false},
		"begun, on the way":               {map[int32]int64{0: 9, 1: 3}, map[int32]int64{0: 9, 1: 4}, false},
		"caught up":                       {map[int32]int64{0: 9, 1: 4}, map[int32]int64{0: 9, 1: 4}, true},
		"long past the beginning":         {map[int32]int64{0: 90, 1: 40}, map[int32]int64{0: 9, 1: 4}, true},
		"an empty partition is caught up": {map[int32]int64{0: 0, 1: 0}, map[int32]int64{0: 0, 1: 0}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &store{figures: stats.Counters{Offsets: test.offsets, Targets: test.targets}}
			report, err := stats.NewService(s, ends{}, 2, time.Now).Report(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			if report.Complete != test.want {
				t.Errorf("complete %t, want %t", report.Complete, test.want)
			}
		})
	}
}

func TestAFailingStoreFailsTheReport(t *testing.T) {
	t.Parallel()
	away := errors.New("redis is away")
	if _, err := stats.NewService(&store{err: away}, ends{}, 1, time.Now).Report(t.Context(), 1); !errors.Is(err, away) {
		t.Errorf("got %v, want the store's error", err)
	}
}
