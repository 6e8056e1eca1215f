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

// fakeStore returns its fields and records the batches.
type fakeStore struct {
	counters    stats.Counters
	days        map[string]int64
	user        string // of the last ReadUser
	stored      int64
	incarnation string
	moved       bool // between Resume and Reset
	applied     []stats.Batch
	err         error
}

func (s *fakeStore) Resume(context.Context, int32, stats.LogRange) (stats.ResumePoint, error) {
	return stats.ResumePoint{Offset: s.stored, Incarnation: s.incarnation}, s.err
}

func (s *fakeStore) Reset(_ context.Context, _ int32, log stats.LogRange, stored int64, why stats.RecountReason) (stats.ResumePoint, error) {
	if s.moved {
		return stats.ResumePoint{Offset: stored + 1, Incarnation: s.incarnation}, s.err
	}
	return stats.ResumePoint{Offset: log.Oldest, Recount: why, Stored: stored}, s.err
}

func (s *fakeStore) Apply(_ context.Context, b stats.Batch) (stats.Tally, error) {
	s.applied = append(s.applied, b)
	return stats.Tally{Counted: len(b.Completions)}, s.err
}

func (s *fakeStore) Read(_ context.Context, days []string) (stats.Counters, error) {
	f := s.counters
	for _, day := range days {
		f.Days = append(f.Days, s.days[day])
	}
	return f, s.err
}

func (s *fakeStore) ReadUser(ctx context.Context, user string, days []string) (stats.Counters, error) {
	s.user = user
	return s.Read(ctx, days)
}

// fakeLogEnds are log-end offsets; nil are unknown ones.
type fakeLogEnds map[int32]int64

func (e fakeLogEnds) Latest() (map[int32]int64, bool) { return e, e != nil }

func (e fakeLogEnds) Fetch(context.Context) (map[int32]int64, error) {
	if e == nil {
		return nil, errors.New("kafka is down")
	}
	return e, nil
}

func clockAt(t *testing.T, s string) func() time.Time {
	t.Helper()
	now, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return func() time.Time { return now }
}

func TestReportMarshalsToTheDocumentedJSON(t *testing.T) {
	t.Parallel()
	s := &fakeStore{
		counters: stats.Counters{Total: 42, Offsets: map[int32]int64{0: 10, 1: 20}},
		days:     map[string]int64{"2024-01-15": 3, "2024-01-13": 4},
	}
	// 01:30 at +01:00 is 00:30 in UTC, on the same day.
	service := stats.NewService(s, fakeLogEnds{0: 11, 1: 25}, 2, clockAt(t, "2024-01-15T01:30:00.123456789+01:00"))
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

func TestReportOfAUserHasTheCountersOfThatUser(t *testing.T) {
	t.Parallel()
	s := &fakeStore{counters: stats.Counters{Total: 5}, days: map[string]int64{"2024-01-15": 2}}
	service := stats.NewService(s, fakeLogEnds{}, 1, clockAt(t, "2024-01-15T10:00:00Z"))
	report, err := service.ReportUser(t.Context(), "7", 1)
	if err != nil {
		t.Fatal(err)
	}
	if s.user != "7" || report.CompletedTotal != 5 || report.CompletedToday != 2 {
		t.Errorf("user %q, %+v", s.user, report)
	}
	if _, err := service.ReportUser(t.Context(), "7", 0); apperr.Of(err) == nil {
		t.Errorf("0 days: %v, want apperr.Invalid", err)
	}
}

func TestReportTakesTodayFromUTC(t *testing.T) {
	t.Parallel()
	s := &fakeStore{days: map[string]int64{"2024-02-29": 1, "2024-03-01": 2}}
	tests := map[string]int64{
		"2024-02-29T23:59:59Z":      1,
		"2024-03-01T00:00:00Z":      2,
		"2024-03-01T00:30:00+01:00": 1,
		"2024-02-29T20:00:00-05:00": 2,
	}
	for now, want := range tests {
		report, err := stats.NewService(s, fakeLogEnds{}, 1, clockAt(t, now)).Report(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if report.CompletedToday != want {
			t.Errorf("at %s: today %d, want %d", now, report.CompletedToday, want)
		}
	}
}

func TestReportRejectsDaysOutOfRangeByName(t *testing.T) {
	t.Parallel()
	service := stats.NewService(&fakeStore{}, fakeLogEnds{}, 1, time.Now)
	for _, days := range []int{-1, 0, 367} {
		_, err := service.Report(t.Context(), days)
		invalid := apperr.Of(err)
		if invalid == nil || invalid.Kind != apperr.Invalid || len(invalid.Fields) != 1 || invalid.Fields[0].Name != "days" {
			t.Errorf("%d days: %v, want apperr.Invalid that names days", days, err)
		}
	}
	for _, days := range []int{1, stats.DefaultDays, stats.MaxDays} {
		report, err := service.Report(t.Context(), days)
		if err != nil {
			t.Errorf("%d days: %v", days, err)
		}
		if len(report.ByDay) != days {
			t.Errorf("%d days requested, %d returned", days, len(report.ByDay))
		}
	}
}

func TestReportSumsTheLagOfEveryPartition(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		ends    fakeLogEnds
		offsets map[int32]int64
		want    any
	}{
		"none":                               {fakeLogEnds{0: 5, 1: 7}, map[int32]int64{0: 5, 1: 7}, int64(0)},
		"some":                               {fakeLogEnds{0: 5, 1: 7}, map[int32]int64{0: 2, 1: 6}, int64(4)},
		"a partition not counted yet":        {fakeLogEnds{0: 5, 1: 7}, map[int32]int64{0: 5}, int64(7)},
		"offsets newer than the ends":        {fakeLogEnds{0: 5, 1: 7}, map[int32]int64{0: 50, 1: 6}, int64(1)},
		"the log-end offsets are unknown":    {nil, map[int32]int64{0: 5, 1: 7}, nil},
		"a partition that is not configured": {fakeLogEnds{0: 5, 1: 7, 2: 100}, map[int32]int64{0: 5, 1: 7}, int64(0)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &fakeStore{counters: stats.Counters{Offsets: test.offsets}}
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

func TestReportIsCompleteWhenEveryPartitionReachedItsTarget(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		offsets, targets map[int32]int64
		want             bool
	}{
		"nothing counted yet":       {nil, nil, false},
		"one partition not started": {map[int32]int64{0: 9}, map[int32]int64{0: 9}, false},
		"started, below its target": {map[int32]int64{0: 9, 1: 3}, map[int32]int64{0: 9, 1: 4}, false},
		"target reached":            {map[int32]int64{0: 9, 1: 4}, map[int32]int64{0: 9, 1: 4}, true},
		"beyond its target":         {map[int32]int64{0: 90, 1: 40}, map[int32]int64{0: 9, 1: 4}, true},
		"an empty partition":        {map[int32]int64{0: 0, 1: 0}, map[int32]int64{0: 0, 1: 0}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &fakeStore{counters: stats.Counters{Offsets: test.offsets, Targets: test.targets}}
			report, err := stats.NewService(s, fakeLogEnds{}, 2, time.Now).Report(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			if report.Complete != test.want {
				t.Errorf("complete %t, want %t", report.Complete, test.want)
			}
		})
	}
}

func TestReportReturnsTheErrorOfTheStore(t *testing.T) {
	t.Parallel()
	down := errors.New("redis is down")
	if _, err := stats.NewService(&fakeStore{err: down}, fakeLogEnds{}, 1, time.Now).Report(t.Context(), 1); !errors.Is(err, down) {
		t.Errorf("got %v, want the error of the store", err)
	}
}
