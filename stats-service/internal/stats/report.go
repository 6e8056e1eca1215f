package stats

import (
	"context"
	"fmt"
	"time"

	"example.com/todo/platform/apperr"
)

// The number of days in a report.
const (
	DefaultDays = 30
	MaxDays     = 366
)

// Report is a snapshot of the counters. Its JSON form is the response of GET /stats.
type Report struct {
	CompletedTotal int64     `json:"completed_total"`
	CompletedToday int64     `json:"completed_today"`
	ByDay          []Day     `json:"by_day"` // oldest first, today last, days without completions included
	AsOf           time.Time `json:"as_of"`  // when the counters were read, UTC
	Lag            *int64    `json:"lag"`    // records not counted yet; nil when the log-end offsets are unknown
	Complete       bool      `json:"complete"`
	Rebuilding     bool      `json:"rebuilding"` // a rebuild is running; the counters are those before it
}

// Day is one UTC day's count.
type Day struct {
	Day       string `json:"day"` // as 2006-01-02
	Completed int64  `json:"completed"`
}

// Report returns the counters of the last days, today included. The error is
// apperr.Invalid when days is out of range.
//
// Complete is false until every partition has been counted up to the log's end at the
// time when its counting started. The counters are too low until then. Records that
// were written later only show in Lag.
func (s *Service) Report(ctx context.Context, days int) (Report, error) {
	return s.report(ctx, days, s.store.Read)
}

// ReportUser returns the same of the completions by a user.
func (s *Service) ReportUser(ctx context.Context, user string, days int) (Report, error) {
	return s.report(ctx, days, func(ctx context.Context, days []string) (Counters, error) {
		return s.store.ReadUser(ctx, user, days)
	})
}

func (s *Service) report(ctx context.Context, days int, read func(context.Context, []string) (Counters, error)) (Report, error) {
	if days < 1 || days > MaxDays {
		return Report{}, InvalidDays()
	}
	now := s.now().UTC()
	names := lastDays(now, days)
	counters, err := read(ctx, names)
	if err != nil {
		return Report{}, err
	}
	report := Report{
		CompletedTotal: counters.Total,
		CompletedToday: counters.Days[days-1],
		ByDay:          make([]Day, days),
		AsOf:           now.Truncate(time.Millisecond),
		Lag:            s.countLag(counters.Offsets),
		Complete:       s.isComplete(counters),
		Rebuilding:     counters.Rebuilding,
	}
	for i, name := range names {
		report.ByDay[i] = Day{Day: name, Completed: counters.Days[i]}
	}
	return report, nil
}

// InvalidDays returns the apperr.Invalid for days that is out of range or not a number.
func InvalidDays() error {
	return apperr.InvalidFields(apperr.Field{Name: "days", Problem: fmt.Sprintf("must be a number from 1 to %d", MaxDays)})
}

func lastDays(now time.Time, days int) []string {
	names := make([]string, days)
	for i := range names {
		names[i] = dayOf(now.AddDate(0, 0, i+1-days))
	}
	return names
}

func (s *Service) countLag(offsets map[int32]int64) *int64 {
	ends, known := s.logEnds.Latest()
	if !known {
		return nil
	}
	var lag int64
	for partition := range int32(s.partitions) {
		// The log-end offsets are slightly older than the counted ones and may be less.
		lag += max(0, ends[partition]-offsets[partition])
	}
	return &lag
}

func (s *Service) isComplete(f Counters) bool {
	for partition := range int32(s.partitions) {
		offset, started := f.Offsets[partition]
		if !started || offset < f.Targets[partition] {
			return false
		}
	}
	return true
}
